import pytest

from serving.images.machine import GIB, ImageMachine, NoRoomError, Placement, place

FLUX = {"transformer": 12_000_000_000, "text_encoder_2": 4_700_000_000, "vae": 84_000_000}
SDXL = {"unet": 2_600_000_000, "text_encoder": 820_000_000, "vae": 84_000_000}
TINY = {"transformer": 2_000_000}


def machine(ram_gib: float, gpu_gib: float = 0, bf16: bool = True) -> ImageMachine:
    return ImageMachine(round(ram_gib * GIB), round(gpu_gib * GIB), bf16)


@pytest.mark.parametrize(
    ("parameters", "here", "placement"),
    [
        (SDXL, machine(64, 80), Placement("cuda", "bfloat16")),
        (SDXL, machine(64, 16, bf16=False), Placement("cuda", "float16")),
        (FLUX, machine(64, 80), Placement("cuda", "bfloat16")),
        (FLUX, machine(64, 32), Placement("cuda", "bfloat16", "parts")),
        (FLUX, machine(64, 12), Placement("cuda", "bfloat16", "layers")),
        (SDXL, machine(16), Placement("cpu", "bfloat16")),
        (SDXL, machine(16, bf16=False), Placement("cpu", "float32")),
        (TINY, machine(4), Placement("cpu", "float32")),
        (TINY, machine(4, 80), Placement("cuda", "float32")),
    ],
)
def test_the_fastest_placement_that_fits(parameters: dict[str, int], here: ImageMachine, placement: Placement) -> None:
    assert place(parameters, here) == placement


def test_the_user_may_choose_the_numbers() -> None:
    assert place(SDXL, machine(16), "float32") == Placement("cpu", "float32")
    assert place(SDXL, machine(64, 16), "float32") == Placement("cuda", "float32", "parts")


@pytest.mark.parametrize("here", [machine(8), machine(8, 24)])
def test_the_need_is_told_when_there_is_no_room(here: ImageMachine) -> None:
    with pytest.raises(NoRoomError, match=r"about 32\.3 GiB of memory in bfloat16, and 8\.0 GiB are free"):
        place(FLUX, here)


def test_this_machine_has_room_for_something() -> None:
    assert place(TINY, ImageMachine.here()).dtype == "float32"
