"""Gates: what a training must pass before its model replaces the one that is published; else that one stays."""

from __future__ import annotations

from typing import Any

from mr_als.errors import GateError, ModelError
from mr_als.models.info import find_info
from mr_als.options import RunOptions, WeightOptions, flag_of, share_of_auto
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
        self._model, self._options, self._progress = model, options, progress
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

    def check_error(self, entry: dict[str, Any], weights: WeightOptions, auto: dict[str, Any]) -> None:
        """Refuse a model whose weighted RMSE rose, `entry` being the last of its history; say so where it cannot be compared.

        Under other weights the weighted RMSE means another thing. Where only alpha differs, and both times it was `auto`, which
        follows the plays, compared is what is left of the error of the model that knows nothing.

        Raises
        ------
        GateError
            If it is above the published model's by more than `max_wrmse_rise`.
        """
        text = self._options.max_wrmse_rise
        if not text or not self._published:
            return
        before = self._published["history"][-1]
        theirs, asked = self._published["options"]["weights"], self._published.get("auto", {}).get("alpha")
        other = [flag_of(name) for name in COMPARED if theirs[name] != getattr(weights, name)]
        what, figure = "weighted RMSE", "wrmse"
        if other == ["--alpha"] and asked == auto.get("alpha") and share_of_auto(asked):
            what, figure, other = "weighted RMSE over that of a model that knows nothing", "to_zero_model", []
        if other:
            self._progress.warn(
                f"warning: --max-wrmse-rise {text} is not applied: the model in {self._model} was trained with another "
                f"{' and '.join(other)}, so that its weighted RMSE is not comparable"
            )
            return
        allowed = float(text[:-1]) / 100 * before[figure] if text.endswith("%") else float(text)
        if entry[figure] > before[figure] + allowed:
            msg = (
                f"the {what} is {entry[figure]:.6g}, that of the model in {self._model} {before[figure]:.6g}: a rise above "
                f"--max-wrmse-rise {text}. That model stays; to publish the new one all the same, give the same command without "
                "--max-wrmse-rise"
            )
            raise GateError(msg)


# the weighted RMSE means the same only where these are the same
COMPARED = ("confidence", "alpha", "epsilon", "feedback")
