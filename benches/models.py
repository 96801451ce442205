"""The same reviews and the same kind of model on both sides: logistic regression over TF-IDF of words and pairs, 20,000 terms."""
import json
import os
import shutil
import subprocess
import time

from common import PEERS, WORK, run_json, say

ROWS = 25_000


def reviews(folder, python):
    """A file of labelled reviews in the Amazon layout: the peers' generator's, or without it Tenor's."""
    made_by = "peer" if python else "tenor"
    path = WORK / f"{made_by}_reviews_{ROWS}.jsonl"
    if not path.exists():
        say(f"generating {ROWS:,} reviews ...")
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name("half.jsonl")
        if python:
            command = [python, PEERS / "gen_reviews.py", "--rows", ROWS, "--seed", 0, "--out", half]
        else:
            command = [folder / "tenor-server", "generate", half, "--rows", ROWS, "--defects", 0]
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        half.rename(path)
    return path


def peer_model(python, data):
    """(joblib file, report) of the scikit-learn pipeline; trained once."""
    report = WORK / "models" / "report.json"
    if not report.exists():
        say("training the peer's model ...")
        found = run_json([python, PEERS / "train_sklearn.py", "--data", data, "--rows", ROWS, "--task", "binary", "--max-features", 20_000,
                          "--models", "tfidf_logreg", "--save", WORK / "models"])
        report.write_text(json.dumps(found))
    return WORK / "models" / "peer_binary_20000_tfidf_logreg.joblib", json.loads(report.read_text())


def deploy(server, data):
    """Carries the reviews from the file to the deployment `reviews`. Numeric features stay out, as in the peer's model."""
    say("training Tenor's model ...")
    server.must("dataset", "import", data, "--dataset", "reviews")
    server.must("dataset", "split", "reviews", "--task", "binary", "--fractions", "0.8,0.1,0.1", "--no-numeric")
    server.must("run", "train", "--dataset", "reviews", "--kind", "logreg", "--experiment", "bench", "--param", "max_features=20000",
                "--register", "reviews", "--alias", "champion")
    server.must("deployment", "create", "reviews", "--model", "reviews", "--alias", "champion")
    for _ in range(100):
        if server.cli("predict", "reviews", "a great story") == 0:
            return
        time.sleep(0.1)
    server.must("predict", "reviews", "a great story")


def have_wrk():
    """Whether the peers' load generator is there; Debian has it as a package of the same name."""
    if shutil.which("wrk"):
        return True
    if shutil.which("apt-get") and os.geteuid() == 0:
        say("installing wrk ...")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wrk"]):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return shutil.which("wrk") is not None
