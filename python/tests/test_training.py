"""Training: the same bits as the command, runs both ways, events, Ctrl-C, errors."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import latent


def test_same_bits_as_the_command(circle, squares, command, tmp_path):
    for name, X in (("table", circle.astype(np.float32)), ("images", squares)):
        np.save(tmp_path / f"{name}.npy", X)
        words = f"train --data {name}.npy --out {name} --preset vae --epochs 3 --seed 5 --no-report --set data.test=0"
        subprocess.run([command, *words.split()], cwd=tmp_path, check=True, capture_output=True)
        theirs = latent.load(tmp_path / name)
        ours = latent.VAE(epochs=3, random_state=5, progress=False).fit(X)
        assert np.array_equal(ours.transform(X), theirs.transform(X))
        # Bit for bit: what follows the header, which names the source, is the same.
        a, b = ours.model_.to_bytes(), theirs.model_.to_bytes()
        assert after_header(a) == after_header(b)
        # And back: the command knows a run of ours.
        ours.save(tmp_path / f"{name}-ours")
        for command_line in (f"inspect {name}-ours", f"sample {name}-ours --count 4 --out {name}.csv"):
            if name == "images" and "csv" in command_line:
                continue
            subprocess.run([command, *command_line.split()], cwd=tmp_path, check=True, capture_output=True)


def after_header(model: bytes) -> bytes:
    return model[8 + int.from_bytes(model[:8], "little") :]


def test_runs_are_saved_and_loaded(circle, tmp_path):
    vae = latent.VAE(epochs=2, random_state=0, progress=False).fit(circle)
    vae.save(tmp_path / "run")
    assert {"run.toml", "model.safetensors", "metrics.jsonl"} <= set(os.listdir(tmp_path / "run"))
    again = latent.load(tmp_path / "run")
    assert again.preset == "vae" and np.array_equal(again.transform(circle), vae.transform(circle))
    assert again.history_[-1]["split"] == "validation"
    with pytest.raises(FileExistsError, match="run"):
        vae.save(tmp_path / "run")
    more = latent.VAE(epochs=1, progress=False).fit(circle, init_from=tmp_path / "run")
    assert any("arrays from" in note for note in more.notes_)


def test_epochs_are_heard_and_may_end_it(circle):
    heard = []
    vae = latent.VAE(epochs=5, random_state=0, progress=False).fit(circle, on_epoch=heard.append)
    assert len(heard) == 5 == len(vae.history_)
    assert {"epoch", "step", "total", "seconds", "train", "validation", "best"} <= heard[0].keys()
    assert heard[-1]["validation"]["loss"] < heard[0]["validation"]["loss"]
    count = iter(range(100))
    vae = latent.VAE(epochs=2000, progress=False).fit(circle, on_epoch=lambda _: next(count) < 3)
    assert vae.model_.interrupted and vae.transform(circle).shape[0] == 300


def test_an_exception_of_a_callback_comes_back_itself(circle):
    class Mine(Exception):
        pass

    def fail(_):
        raise Mine("of my own")

    vae = latent.VAE(epochs=5000, progress=False)
    with pytest.raises(Mine, match="of my own"):
        vae.fit(circle, on_epoch=fail)
    assert vae.transform(circle).shape[0] == 300, "what was learned is kept"


def test_ctrl_c_stops_at_the_next_step_and_keeps_the_model():
    code = """
import numpy as np, latent, signal, threading, time
# A shell's background job begins with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).normal(size=(400, 3))
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic()); time.sleep(0.005)
threading.Thread(target=tick, daemon=True).start()
vae = latent.VAE(epochs=10**6, latent_dim=2, progress=False)
try:
    # A callback that returns False ends it: this one returns None.
    vae.fit(X, on_epoch=lambda e: print("begun", flush=True) if e["step"] < 20 else None)
except KeyboardInterrupt:
    gaps = [b - a for a, b in zip(ticks, ticks[1:])]
    print("kept", vae.transform(X).shape, vae.model_.interrupted, max(gaps) < 1.0)
"""
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "begun\n"
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, _ = run.communicate(timeout=60)
    assert time.monotonic() - sent < 20
    assert "kept (400, 2) True True" in out, out


def test_it_trains_in_any_thread(circle):
    done = []
    thread = threading.Thread(target=lambda: done.append(latent.VAE(epochs=1, progress=False).fit(circle)))
    thread.start()
    thread.join()
    assert done[0].sample(2).shape == (2, 3)


def test_errors_keep_the_message_and_the_remedy(circle, tmp_path):
    with pytest.raises(ValueError, match="train.batch|batch"):
        latent.VAE(train__bach=3, progress=False).fit(circle)
    with pytest.raises(ValueError, match="beta-vae"):
        latent.Autoencoder("beta-va").fit(circle)
    with pytest.raises(TypeError, match="latent_dims.*latent_dim"):
        latent.VAE(latent_dims=3)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        latent.VAE().fit("nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        latent.load(tmp_path / "nowhere")
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(latent.LatentError, match="safetensors"):
        latent.load(tmp_path / "model.safetensors")
    vae = latent.VAE(epochs=1, latent_dim=2, progress=False).fit(circle)
    with pytest.raises(ValueError, match="codes"):
        vae.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="device|tpu"):
        latent.VAE(device="tpu").fit(circle)


def test_presets_and_settings_are_the_commands(command):
    said = subprocess.run([command, "presets"], capture_output=True, text=True, check=True).stdout
    assert all(preset.name in said for preset in latent.presets()) and len(latent.presets()) > 10
    keys = {setting.key for setting in latent.settings("train")}
    assert {"train.batch", "train.epochs"} <= keys
    with pytest.raises(ValueError, match="no setting"):
        latent.settings("nothing.at.all")
