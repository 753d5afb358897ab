"""Believe those whom a policy picks, text by text, rewarded for what comes of its choice."""

from typing import ClassVar, Literal, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from common.state import State
from server.resting import answer
from server.sharing import opinions, shared_out
from server.steering import Course, Steering, Step
from server.weightings import Weighting
from server.weightings._instances import Instance, instances
from server.weightings._policy import Baseline, Policy, score
from server.weightings._rewards import judge, selected_gain
from server.weightings._views import Views


@final
@component
class Reinforced(Weighting):
    r"""Reinforced multi-teacher selection: a logistic policy takes or leaves every opinion.

    .. math::
        \pi(a_{ik} = 1) = \sigma(f_{ik}^\top (a + A_k)), \qquad
        (a, A) \mathrel{+}= \eta \sum_{ik} \hat r \, \nabla \log \pi(a_{ik})

    f is what is seen of teacher k and text i (the text, the prediction, its entropy, its
    distance from the consensus, the student's loss against it, the student's answer), r the
    reward, in spreads above its moving mean. Opinions taken share the weight equally; where
    none is taken, all keep theirs. The policy outlives the round: A_k is found by the client's
    id, and waits for clients that are absent.

    Departures: the source's third view is each teacher's loss on the known label of every
    training text; here few labels are known, so it is the student's loss against the teacher.
    Its instance vector comes from a fine-tuned transformer; here from what the student reads or,
    by choice, from the student itself as it learns.
    A_k, entropy and distance are ours, and so is taking as reward the gain over an episode, for
    the level mostly says how long the student has learned. ``selection`` is ours altogether.
    The source's exact rewards were read of, not read.

    Attributes:
        reward: ``selection``, by how much the log-probability of a known label under the mean
            of those taken is above that under the mean of all, a reward for each text, which
            asks no student; ``label``, the student's gain in log-likelihood of all known
            labels; ``label_and_teacher``, that and the loss against its targets on these
            texts; ``development``, a mixture of that and the gain in accuracy on labels held
            out. Of the last three every choice of an episode gets the same.
        taught_by: ``sample``, the opinions that were taken, or ``chance``, all of them, in
            proportion to the probability of being taken.
        instance: what the policy sees of the text itself: ``features``, as the student reads it
            (of a student that reads texts those are ids of tokens, which mean nothing here);
            ``hidden``, the input of the student's last linear layer as it is at this step, on a
            scale that all texts set every 25 steps; ``none``.
        every: steps of an episode; after each, the policy learns.
        warmup: steps of the first round in which the student is taught by all. Without a
            choice nothing is learned, except by ``selection``.
        rate: of the policy's ascent.
        entropy: bonus for the entropy of the choice, in nats, relative to an advantage of 1.
        momentum: of the moving mean and spread of rewards.
        balance: of ``development``: share of the two losses; the rest is accuracy.
        holdout: of ``development``: share of the known labels whose accuracy counts.

    Reference: Yuan et al. *Reinforced Multi-Teacher Selection for Knowledge Distillation*,
    AAAI 2021. https://arxiv.org/abs/2012.06048
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    steers: ClassVar[bool] = True

    reward: Literal["selection", "label", "label_and_teacher", "development"] = "selection"
    taught_by: Literal["sample", "chance"] = "sample"
    instance: Instance = "features"
    every: int = Field(default=1, ge=1)
    warmup: int = Field(default=0, ge=0)
    rate: float = Field(default=1.0, gt=0)
    entropy: float = Field(default=0.01, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    balance: float = Field(default=0.5, ge=0, le=1)
    holdout: float = Field(default=0.5, gt=0, lt=1)

    @override
    def start(self, num_clients: int) -> State:
        """A policy that takes everyone with probability 1/2, as wide as it turns out to be."""
        return {
            "shared": np.zeros(0),
            "own": np.zeros((num_clients, 0)),
            "baseline": np.zeros(3),
            "steps": np.zeros(1, dtype=np.int64),
        }

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        """Equal weights; the policy chooses while the student learns."""
        del state
        return np.ones(ensemble.probs.shape[:2], dtype=np.float64)

    @override
    def steer(self, course: Course, state: State) -> Steering:
        return _Chooser(self, course, state or self.start(max(course.teachers) + 1))


class _Chooser(Steering):
    """One round: chooses at every step, and learns from an episode of ``every`` steps."""

    def __init__(self, settings: Reinforced, course: Course, state: State) -> None:
        self._settings, self._course = settings, course
        self._opinions = opinions(course.teachers)  # (T, 1)
        self._teachers = torch.tensor(course.teachers)[self._opinions[:, 0]]  # (K,)
        self._texts = instances(course, settings.instance)
        self._views = Views(course, self._texts)
        self._policy = _opened(state, self._views.width)
        mean, variance, seen = (float(part) for part in state["baseline"])
        self._baseline = Baseline(mean, variance, int(seen), settings.momentum)
        self._steps = int(state["steps"][0])
        self._judge = judge(settings.reward, course, settings.balance, settings.holdout)
        self._value: float | None = None
        self._episode: list[tuple[Tensor, Tensor]] = []

    @override
    def weigh(self, step: Step) -> Tensor:
        """Weights by who is taken; the incoming ones during the warm-up."""
        if self._steps < self._settings.warmup:
            return step.weights
        delayed = self._settings.reward != "selection"
        if delayed and self._value is None:
            self._value = self._judge(self._course.student)
        who = self._opinions[:, 0]
        views = self._views(step.rows, step.log_q, step.values[who])
        chances = self._policy.chances(views, self._teachers)
        actions = self._drawn(chances)
        if delayed:
            self._episode.append((views, actions))
        scores = torch.zeros_like(step.weights)
        scores[who] = actions if self._settings.taught_by == "sample" else chances
        return shared_out(scores, step.weights, self._opinions)

    @override
    def learn(self, step: Step) -> None:
        """At the end of an episode the policy moves."""
        self._steps += 1
        self._texts.learned(step.number)
        if self._steps % self._settings.every:
            return
        if self._settings.reward == "selection":
            self._practise(step)
        elif self._value is not None:
            self._rewarded(self._value)

    @override
    def state(self) -> State:
        """The policy, what rewards are usual, and the steps so far."""
        usual = self._baseline
        return {
            "shared": self._policy.shared.numpy().copy(),
            "own": self._policy.own.numpy().copy(),
            "baseline": np.array([usual.mean, usual.variance, usual.seen], dtype=np.float64),
            "steps": np.array([self._steps], dtype=np.int64),
        }

    def _practise(self, step: Step) -> None:
        """Choose on the texts whose labels are known; the reward of each text is at hand."""
        course, who = self._course, self._opinions[:, 0]
        probs = course.probs[who].index_select(1, course.rows)
        log_q = answer(course.student, course.features.index_select(0, course.rows))
        values = course.loss(log_q, probs, step.geometry)
        views = self._views(course.rows, log_q, values)
        actions = self._drawn(self._policy.chances(views, self._teachers))
        said = probs.gather(2, course.labels.expand(len(probs), -1)[:, :, None])[:, :, 0]
        self._climb(views, actions, self._baseline.advantages(selected_gain(actions, said)))

    def _rewarded(self, before: float) -> None:
        """All choices of the episode get what the student has gained."""
        after = self._judge(self._course.student)
        advantage = self._baseline.advantages(torch.tensor(after - before))
        for views, actions in self._episode:
            self._climb(views, actions, advantage)
        self._value, self._episode = after, []

    def _climb(self, views: Tensor, actions: Tensor, advantages: Tensor) -> None:
        chances = self._policy.chances(views, self._teachers)
        push = self._settings.rate * score(actions, chances, advantages)
        bonus = self._settings.rate * self._settings.entropy
        self._policy.climb(views, self._teachers, push, bonus)

    def _drawn(self, chances: Tensor) -> Tensor:
        luck = torch.from_numpy(self._course.rng.random(tuple(chances.shape)))
        return (luck < chances).to(chances.dtype)


def _opened(state: State, width: int) -> Policy:
    """The policy of the rounds before; a new one is as wide as what there is to see."""
    shared, own = torch.tensor(state["shared"]), torch.tensor(state["own"])
    if not len(shared):
        shared, own = shared.new_zeros(width), own.new_zeros(len(own), width)
    return Policy(shared, own)
