"""Gates: what a training must pass before its model replaces the one that is published; else that one stays."""

from __future__ import annotations

from typing import Any

from mr_als.errors import GateError, ModelError
from mr_als.models.info import find_info
from mr_als.options import RunOptions, WeightOptions
from mr_als.preparing.plays import Plays
from mr_als.progress import Progress

__all__ = ["Gates"]


class Gates:
    """What is asked of a run, beside the model that is published at `model` now; without one, all is passed.

    Raises
    ------
    ModelError
        If there is one that cannot be read, and anything is asked; else that it will be replaced is said, before anything is done.
    """

    def __init__(self, model: str, options: RunOptions, progress: Progress) -> None:
        self._model, self._options = model, options
        self._published: dict[str, Any] = {}
        try:
            self._published |= find_info(model) or {}
        except ModelError as error:
            if options.min_size or options.max_wrmse_rise:
                msg = (
                    f"{error}. Nothing can be compared with it: to train all the same, give neither --min-size nor --max-wrmse-rise"
                )
                raise ModelError(msg) from None
            progress.warn(f"{error}: this run does, and replaces it in the end")

    def check_size(self, plays: Plays) -> None:
        """Refuse plays that are much fewer than those of the published model.

        Raises
        ------
        GateError
            If users, items or plays are below `min_size` of the published model's.
        """
        if not self._published:
            return
        for name, now in (("users", plays.n_users), ("items", plays.n_items), ("plays", plays.plays)):
            before = self._published[f"n_{name}" if name != "plays" else name]
            if now < self._options.min_size * before:
                msg = (
                    f"{now:.12g} {name}, but the model in {self._model} was made of {before:.12g}: less than "
                    f"--min-size {self._options.min_size:g} of it. That model stays; are logs missing? If not, give --min-size 0"
                )
                raise GateError(msg)

    def check_error(self, wrmse: float, weights: WeightOptions) -> None:
        """Refuse a model whose weighted RMSE rose; where its weights are others than before, the two cannot be compared.

        Raises
        ------
        GateError
            If it is above the published model's by more than `max_wrmse_rise`.
        """
        text = self._options.max_wrmse_rise
        if not text or not self._published:
            return
        theirs = self._published["options"]["weights"]
        other = [name for name in COMPARED if theirs[name] != getattr(weights, name)]
        if other:
            return
        before = float(self._published["history"][-1]["wrmse"])
        allowed = float(text[:-1]) / 100 * before if text.endswith("%") else float(text)
        if wrmse > before + allowed:
            msg = (
                f"the weighted RMSE is {wrmse:.6g}, that of the model in {self._model} {before:.6g}: a rise above --max-wrmse-rise "
                f"{text}. That model stays; to publish the new one all the same, give the same command without --max-wrmse-rise"
            )
            raise GateError(msg)


# the weighted RMSE means the same only where these are the same
COMPARED = ("confidence", "alpha", "epsilon", "feedback")
