"""A deterministic policy gradient with an actor and a critic, in numpy.

DDPG (Lillicrap et al. 2015, arXiv 1509.02971) for actions in [0, 1]: the critic Q(s, a) learns the reward, the actor mu(s)
follows the critic's slope in the action; both have copies that trail behind them. Two hidden layers of rectified units,
Adam.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(eq=False)
class Perceptron:
    """Fully connected layers with ReLU between them; a sigmoid at the end where outputs are actions.

    Parameters
    ----------
    sizes : of inputs, hidden layers, outputs.
    is_action : whether outputs are in (0, 1).
    generator : of the first weights (uniform within 1 / sqrt(inputs); the last layer near 0).
    """

    sizes: tuple[int, ...]
    is_action: bool
    generator: np.random.Generator
    parameters: list[Array] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = []
        for number, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            reach = 3e-3 if number == len(self.sizes) - 2 else 1 / np.sqrt(inputs)
            self.parameters += [self.generator.uniform(-reach, reach, (inputs, outputs)), np.zeros(outputs)]
        self._first = [np.zeros_like(part) for part in self.parameters]
        self._second = [np.zeros_like(part) for part in self.parameters]
        self._steps = 0

    def run(self, inputs: Array) -> list[Array]:
        """What each layer gives, the inputs first: (B, size)."""
        found = [inputs]
        last = len(self.parameters) // 2 - 1
        for number in range(last + 1):
            sums = found[-1] @ self.parameters[2 * number] + self.parameters[2 * number + 1]
            if number < last:
                sums = np.maximum(sums, 0)
            elif self.is_action:
                sums = 1 / (1 + np.exp(-np.clip(sums, -30, 30)))
            found.append(sums)
        return found

    def slopes(self, values: list[Array], slope: Array) -> tuple[list[Array], Array]:
        """Slopes by the parameters, and by the inputs, for a slope (B, outputs) by the outputs of `run`."""
        found: list[Array] = []
        if self.is_action:
            slope = slope * values[-1] * (1 - values[-1])
        for number in reversed(range(len(self.parameters) // 2)):
            found = [values[number].T @ slope, slope.sum(axis=0), *found]
            slope = slope @ self.parameters[2 * number].T
            if number:
                slope = slope * (values[number] > 0)
        return found, slope

    def step(self, slopes: list[Array], rate: float) -> None:
        """One step of Adam (Kingma and Ba 2015, arXiv 1412.6980; its defaults)."""
        self._steps += 1
        for place, slope in enumerate(slopes):
            self._first[place] += 0.1 * (slope - self._first[place])
            self._second[place] += 0.001 * (slope * slope - self._second[place])
            mean, spread = self._first[place] / (1 - 0.9**self._steps), self._second[place] / (1 - 0.999**self._steps)
            self.parameters[place] -= rate * mean / (np.sqrt(spread) + 1e-8)

    def follow(self, other: Perceptron, share: float) -> None:
        """A step of this share towards another network of the same sizes."""
        for mine, its in zip(self.parameters, other.parameters, strict=True):
            mine += share * (its - mine)


class ActorCritic:
    """An agent with one action a step, all of whose steps of an episode share the episode's reward.

    Parameters
    ----------
    observations : numbers that describe a step.
    generator : of weights and batches.
    hidden : units of each hidden layer.
    batch : steps that are learned from at once.
    """

    def __init__(self, observations: int, generator: np.random.Generator, *, hidden: int = 64, batch: int = 64) -> None:
        sizes = (observations, hidden, hidden, 1)
        self._actor = Perceptron(sizes, True, generator)
        self._critic = Perceptron((observations + 1, *sizes[1:]), False, generator)
        self._later_actor = Perceptron(sizes, True, generator)
        self._later_critic = Perceptron((observations + 1, *sizes[1:]), False, generator)
        self._later_actor.follow(self._actor, 1.0)
        self._later_critic.follow(self._critic, 1.0)
        self._generator = generator
        self._batch = batch

    def action(self, observation: Array) -> float:
        """In (0, 1), for one step."""
        return float(self._actor.run(observation[None])[-1][0, 0])

    def learn(self, steps: Array, *, baseline: float, rate: float = 1e-3, actor_rate: float = 1e-3,
              follows: float = 0.01) -> None:
        """From some of the steps that were made.

        Parameters
        ----------
        steps : (N, 2 observations + 3): observation, action, reward, observation of the next step, whether it was the last.
        baseline : a moving average of rewards, taken off them (HAQ, equation 8).
        """
        picked = steps[self._generator.integers(0, len(steps), self._batch)]
        width = (steps.shape[1] - 3) // 2
        now, action, reward = picked[:, :width], picked[:, width:width + 1], picked[:, width + 1:width + 2]
        then, is_last = picked[:, width + 2:-1], picked[:, -1:]
        following = np.hstack([then, self._later_actor.run(then)[-1]])
        target = reward - baseline + (1 - is_last) * self._later_critic.run(following)[-1]
        values = self._critic.run(np.hstack([now, action]))
        slopes, _ = self._critic.slopes(values, 2 * (values[-1] - target) / len(picked))
        self._critic.step(slopes, rate)
        acted = self._actor.run(now)
        judged = self._critic.run(np.hstack([now, acted[-1]]))
        _, uphill = self._critic.slopes(judged, np.full((len(picked), 1), -1.0 / len(picked)))
        slopes, _ = self._actor.slopes(acted, uphill[:, -1:])
        self._actor.step(slopes, actor_rate)
        self._later_actor.follow(self._actor, follows)
        self._later_critic.follow(self._critic, follows)
