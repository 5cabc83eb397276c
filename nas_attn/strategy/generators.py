"""Randomness that depends on the study's seed and the trial's number, and on nothing else."""

from __future__ import annotations

import random

import numpy as np
from numpy.random import SeedSequence

from nas_attn.strategy.question import Question


def sampler_seed(question: Question) -> int:
    """32 bits for an Optuna sampler.

    One seed for the whole study would make a continued study repeat its first trials, and parallel
    workers one another's.
    """
    return int(SeedSequence((question.seed, question.number)).generate_state(1)[0])


def generator(question: Question) -> random.Random:
    """A generator that shares nothing with the one of ``sampler_seed``."""
    words = SeedSequence((question.seed, question.number), spawn_key=(1,)).generate_state(4)
    return random.Random(int.from_bytes(words.tobytes(), "little"))


def array_generator(question: Question) -> np.random.Generator:
    """A generator of arrays that shares nothing with the two others."""
    return np.random.default_rng(SeedSequence((question.seed, question.number), spawn_key=(2,)))
