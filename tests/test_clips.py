"""Windows of clips against a search through all runs of frames."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nas_attn.clips import clip_numbers, covering_windows, every_window

FRAMES = st.integers(1, 5)


def clips_of(lengths: list[int]) -> list[list[int]]:
    """The numbers of the frames of each clip."""
    numbers = iter(range(sum(lengths)))
    return [[next(numbers) for _ in range(length)] for length in lengths]


@given(st.lists(st.integers(1, 9), max_size=5), FRAMES)
def test_every_run_of_frames_within_a_clip_is_a_window(lengths: list[int], frames: int) -> None:
    runs = [
        first
        for first in range(sum(lengths) - frames + 1)
        if any(set(range(first, first + frames)) <= set(clip) for clip in clips_of(lengths))
    ]
    assert list(every_window(lengths, frames)) == runs


@given(FRAMES.flatmap(lambda frames: st.tuples(st.lists(st.integers(frames, 12), max_size=5), st.just(frames))))
def test_covering_windows_show_each_frame_once_for_the_first_time(drawn: tuple[list[int], int]) -> None:
    lengths, frames = drawn
    shown = []
    for window in covering_windows(lengths, frames):
        numbers = list(range(window.first, window.first + frames))
        assert any(set(numbers) <= set(clip) for clip in clips_of(lengths))
        assert set(numbers[: window.seen]) <= set(shown)
        shown += numbers[window.seen :]
    assert shown == list(range(sum(lengths)))


def test_frames_know_their_clip() -> None:
    assert clip_numbers([2, 1, 3]) == (0, 0, 1, 2, 2, 2)


def test_a_still_image_is_a_window_by_itself() -> None:
    assert every_window([1, 1, 1], 1) == (0, 1, 2)
    assert [(window.first, window.seen) for window in covering_windows([1, 1], 1)] == [(0, 0), (1, 0)]
