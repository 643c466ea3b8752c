"""What the skeptic asks: is a method more than GRPO stopped earlier? Pass@k against GRPO at the same Pass@1."""

from __future__ import annotations

import sys

import pandas as pd

from figures.contest import Contest, table
from figures.rl_exhibit import with_interval
from rl.analysis import against_earlier_stop, common

KS = (128, 1024)


def frame(contest: Contest) -> pd.DataFrame:
    """Rows (task, method): seeds, GRPO's last step, the step at which it has the method's Pass@1, Pass@k minus its."""
    rows = []
    for name, results in contest.items():
        for method in (one for one in results.methods() if one not in ("base", "grpo")):
            found = {k: against_earlier_stop(results, method, k) for k in KS}
            last = max(int(results.of("grpo")[seed].metrics["step"].max()) for seed in common(results, method, "grpo"))
            rows.append(
                {
                    "task": name,
                    "method": method,
                    "seeds": str(int(found[KS[0]]["seeds"])),
                    "GRPO stopped at step": f"{found[KS[0]]['step']:.0f} of {last}",
                    **{f"Pass@{k} − its": with_interval(found[k], "+") for k in KS},
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    caption = (
        "Each method at its end against GRPO stopped when it first had the same Pass@1; validation problems, 95% "
        "intervals over seeds. Not named before the runs."
    )
    sys.exit(table("tab_early_stopping", frame, caption))
