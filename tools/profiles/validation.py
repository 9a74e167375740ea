"""Makes src/Simulation/Data/validation_*.csv.gz. Usage: validation.py VALIDATION_FOLDER OUT_FOLDER.

Keeps what the simulator has a model and a measured GPU for: dense models on H100 and H200, aggregated serving.
"""
import csv
import gzip
import io
import sys

SOURCE, OUT = sys.argv[1], sys.argv[2]
MODELS = {"Llama-3.1-8B": "llama-3.1-8b", "Llama-3.1-70B": "llama-3.1-70b", "Qwen3-32B": "qwen3-32b"}


def write(name, header, rows):
    text = "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9) as zipped:
        zipped.write(text.encode())
    open(f"{OUT}/{name}", "wb").write(buffer.getvalue())
    print(name, len(rows), "rows", len(buffer.getvalue()), "bytes")


rows = []
for r in csv.DictReader(gzip.open(f"{SOURCE}/aiconfigurator_silicon_e2e_a.csv.gz", "rt")):
    model = next((v for k, v in MODELS.items() if k in r["model_path"]), None)
    if model is None or r["system"] not in ("h100_sxm", "h200_sxm") or r["mode"] != "agg" or not r["concurrency"]:
        continue
    if int(r["pp_size"] or 1) != 1 or int(r["attention_dp_size"] or 1) > 1:
        continue
    weights = "fp8" if "fp8" in r["gemm_quant_mode"] else "bf16"
    rows.append((r["system"][:4], r["backend"], model, weights, r["tp_size"], r["isl"], r["osl"], r["concurrency"],
                 f'{float(r["silicon_ttft_ms"]):.5g}', f'{float(r["silicon_tpot_ms"]):.5g}'))
write("validation_served.csv.gz",
      ["gpu", "engine", "model", "weights", "tp", "isl", "osl", "clients", "ttft_ms", "tpot_ms"], sorted(rows))

rows = [(r["run"].split("/")[0].lower(), r["input_tokens"], r["output_tokens"], r["queued_ms"], r["ttft_ms"],
         r["tpot_ms"]) for r in csv.DictReader(gzip.open(f"{SOURCE}/llmservingsim_vllm_runs_a.csv.gz", "rt"))]
write("validation_vllm.csv.gz", ["gpu", "input_tokens", "output_tokens", "arrival_ms", "ttft_ms", "tpot_ms"], rows)
