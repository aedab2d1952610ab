"""What shows how far an image model is: validation losses, sample sheets, a curve, and the model itself to be used."""

import json
import shutil
from pathlib import Path

import torch
from transformers import TrainerCallback

from serving.home import home
from serving.images.pipeline import PixelPipeline
from serving.model_folder import Lineage, Source, finish_model_folder
from training.checkpoints import latest_whole, step_of, write_whole
from training.hardware import autocasts
from training.images.average import Average
from training.images.examples import Collate, Examples
from training.images.sheet import loss_curve, sample_sheet, save_picture
from training.images.sources import Pictures
from training.images.telling import Telling
from training.job import Job
from training.publish import replace_folder, versions
from training.trainer import ProgressCallback

TIMES = (0.25, 0.5, 0.75, 1.0)
VALIDATED = 64
SHOWN = 12


class Watching(TrainerCallback):
    """Lives on the first rank. Every figure and sheet uses the averaged weights, the same examples and seeds."""

    def __init__(self, job: Job, average: Average, pipeline: PixelPipeline, sources: list[Pictures]) -> None:
        self.job, self.average, self.pipeline, self.sources = job, average, pipeline, sources
        self.folder = job.folder / "samples"
        self.output = home() / "models" / job.recipe.name
        self.telling = Telling(job)
        self.curves = self._earlier_curves()
        self.held_out = self._validation_batch()
        self.captions = [caption for caption in self._captions() if caption][:SHOWN]

    def on_train_begin(self, args, state, control, **_) -> None:
        losses = [(entry["step"], entry["loss"]) for entry in state.log_history if "loss" in entry]
        if losses:
            self.curves["training"] = losses
        self.telling.begin(state.global_step)

    def on_log(self, args, state, control, logs=None, **_) -> None:
        if "loss" in (logs or {}):
            self.curves.setdefault("training", []).append((state.global_step, logs["loss"]))

    def on_step_end(self, args, state, control, **_) -> None:
        self.telling.now_and_then(state.global_step)
        if state.global_step % self.job.section.samples_every == 0:
            self.look(state.global_step)

    def look(self, step: int) -> dict[str, float]:
        """Write the sample sheet and the curve after `step` steps; returns the validation losses."""
        with self.average.in_place():
            losses = self.validation_losses()
            pictures = self.draw(self.captions)
        for name, loss in losses.items():
            self.curves.setdefault(name, []).append((step, loss))
        save_picture(sample_sheet(pictures, self.captions), self.folder / f"step-{step:06}.png")
        save_picture(loss_curve(self.curves), self.job.folder / "curve.png")
        write_whole(self.job.folder / "curves.json", json.dumps(self.curves))
        return losses

    @torch.no_grad()
    def validation_losses(self) -> dict[str, float]:
        """Mean squared error of the predicted clean pictures at each of the fixed times."""
        losses = {}
        batch = {name: values.to(self.pipeline.device) for name, values in self.held_out.items()}
        for time in TIMES:
            times = torch.full((len(batch["clean"]),), time, device=self.pipeline.device)
            noisy = (1 - time) * batch["clean"] + time * batch["noise"]
            with torch.autocast(self.job.layout.device, torch.bfloat16, enabled=autocasts(self.job.layout.device)):
                caption = self.pipeline.text_encoder(batch["ids"])
                predicted = self.pipeline.transformer(noisy, times, caption)
            losses[f"at {time:g}"] = (predicted - batch["clean"]).square().mean().item()
        return losses

    def draw(self, captions: list[str]) -> list:
        """A picture for each caption, picture `i` with the seed `i`."""
        generators = [torch.Generator().manual_seed(seed) for seed in range(len(captions))]
        with torch.autocast(self.job.layout.device, torch.bfloat16, enabled=autocasts(self.job.layout.device)):
            return self.pipeline(captions, generator=generators).images

    def publish(self, step: int, live: ProgressCallback) -> None:
        """Put the model as it is now where it is served from, and say how far it is."""
        folder = self.job.folder / "published.part"
        self.save(folder, step, live.seconds())
        replace_folder(self.output, folder)
        self.telling.tell(step)

    def finish(self, live: ProgressCallback) -> dict[str, float]:
        """Save the result as `model/`; returns the last validation losses, named for the lineage."""
        losses = self.look(self.job.steps)
        self.save(self.job.folder / "model.part", self.job.steps, live.seconds())
        replace_folder(self.job.folder / "model", self.job.folder / "model.part")
        self.telling.end()
        return {f"validation_loss_{name.replace(' ', '_')}": loss for name, loss in losses.items()}

    def save(self, folder: Path, step: int, seconds: float) -> None:
        """Write the pipeline with the averaged weights as a model folder."""
        shutil.rmtree(folder, ignore_errors=True)
        with self.average.in_place():
            self.pipeline.save_pretrained(folder)
        section = self.job.section
        lineage = Lineage(
            stage="images",
            recipe=self.job.recipe.name,
            sources=[Source(name=s.label, licence=s.licence, rows=0, sha256="") for s in section.sources],
            seed=self.job.recipe.seed,
            versions=versions(),
            pictures=step * section.batch,
            seconds=round(seconds, 1),
        )
        finish_model_folder(folder, lineage, self.output.name)

    def _earlier_curves(self) -> dict[str, list[tuple[int, float]]]:
        """Those of the run that this one goes on with; what that one did after its last checkpoint is drawn again."""
        file = self.job.folder / "curves.json"
        checkpoint = latest_whole(self.job.folder / "checkpoints")
        if checkpoint is None or not file.exists():
            return {}
        last = step_of(checkpoint)
        curves = json.loads(file.read_text(encoding="utf-8"))
        return {name: [(step, loss) for step, loss in curve if step <= last] for name, curve in curves.items()}

    def _validation_batch(self) -> dict[str, torch.Tensor]:
        return Collate(self.pipeline.tokenizer.backend_tokenizer)([self._held_out()[i] for i in range(VALIDATED)])

    def _captions(self) -> list[str]:
        return [self._held_out()[i]["caption"] for i in range(2 * SHOWN)]

    def _held_out(self) -> Examples:
        return Examples(self.job.section, self.sources, self.job.recipe.seed, VALIDATED, "validation")
