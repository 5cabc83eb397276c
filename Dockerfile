# A search in a container; studies lie in the folder that is mounted at /work:
#   docker build -t nas-attn .
#   docker run --rm -v "$PWD:/work" nas-attn search --data FOLDER --study nuclei
# With a GPU: build with --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126, and run with --gpus all.
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY nas_attn ./nas_attn
COPY search_spaces ./search_spaces
COPY studies ./studies
RUN pip install --no-cache-dir torch --index-url "$TORCH_INDEX" && pip install --no-cache-dir .
WORKDIR /work
ENTRYPOINT ["nas-attn"]
CMD ["--help"]
