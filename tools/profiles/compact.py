"""Makes src/Simulation/Data/*.csv.gz from published profiles. Usage: compact.py PROFILES_FOLDER OUT_FOLDER.

Rows: gemm,m,n,k,us | prefill,q_heads,kv_heads,tokens,us | decode,q_heads,kv_heads,batch,context,us |
allreduce,gpus,bytes,us | pointwise,hidden,tokens,us (norms, activation, rotary of one layer). Head width is 128.
"""
import csv
import gzip
import io
import sys

SOURCE, OUT = sys.argv[1], sys.argv[2]


def read(name):
    return csv.DictReader(gzip.open(f"{SOURCE}/{name}", "rt"))


def short(ms):
    return f"{1000 * float(ms):.4g}"


def write(name, rows):
    text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9) as zipped:
        zipped.write(text.encode())
    open(f"{OUT}/{name}", "wb").write(buffer.getvalue())
    print(name, len(rows), "rows", len(buffer.getvalue()), "bytes")


def hopper(gpu):
    rows = []
    for r in read(f"aiconfigurator_{gpu}_gemm.csv.gz"):
        # The 8-bit rows time block quantisation outside a graph: 60-90 us whatever the shape. Served models do not.
        if r["dtype"] == "bfloat16":
            rows.append(("gemm", r["m"], r["n"], r["k"], short(r["latency_ms"])))
    for r in read(f"aiconfigurator_{gpu}_attn_prefill.csv.gz"):
        if r["head_dim"] == "128" and r["batch"] == "1":
            rows.append(("prefill", r["q_heads"], r["kv_heads"], r["seq_len"], short(r["latency_ms"])))
    for r in read(f"aiconfigurator_{gpu}_attn_decode.csv.gz"):
        if r["head_dim"] == "128" and int(r["seq_len"]) >= 16:
            rows.append(("decode", r["q_heads"], r["kv_heads"], r["batch"], r["seq_len"], short(r["latency_ms"])))
    for r in read("aiconfigurator_h100_h200_comm.csv.gz"):
        if r["hw"] == gpu and r["impl"] == "vllm_custom_graph":
            rows.append(("allreduce", r["gpus"], 2 * int(r["message_size"]), short(r["latency_ms"])))
    return rows


# hidden, q heads, kv heads, intermediate of the models that Vidur profiled on A100; head width 128.
VIDUR = {
    "meta-llama/Meta-Llama-3-70B": (8192, 64, 8, 28672), "meta-llama/Meta-Llama-3-8B": (4096, 32, 8, 14336),
    "Qwen/Qwen-72B": (8192, 64, 64, 24576), "codellama/CodeLlama-34b-Instruct-hf": (8192, 64, 8, 22016),
    "internlm/internlm-20b": (5120, 40, 40, 13824), "meta-llama/Llama-2-7b-hf": (4096, 32, 32, 11008),
}
TOKENS = {1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192, 16384,
          32768}


def ampere():
    rows = {}
    for r in read("vidur_mlp_a100_h100.csv.gz"):
        if r["device"] != "a100" or r["model"] not in VIDUR or int(r["num_tokens"]) not in TOKENS:
            continue
        hidden, q, kv, inter = VIDUR[r["model"]]
        tp, m = int(r["tp"]), int(r["num_tokens"])
        shapes = {"attn_pre_proj_ms": ((q + 2 * max(kv, tp)) * 128 // tp, hidden),
                  "attn_post_proj_ms": (hidden, q * 128 // tp), "mlp_up_proj_ms": (2 * inter // tp, hidden),
                  "mlp_down_proj_ms": (hidden, inter // tp)}
        for column, (n, k) in shapes.items():
            if r[column]:
                rows[("gemm", m, n, k)] = short(r[column])
        parts = [r[c] for c in ("input_layernorm_ms", "attn_rope_ms", "post_attention_layernorm_ms", "mlp_act_ms",
                                "add_ms")]
        if all(parts) and tp == 1:
            rows[("pointwise", hidden, m)] = short(sum(map(float, parts)))
    for r in read("vidur_attention_a100_llama2-70b_tp2.csv.gz"):
        if r["phase"] == "prefill" and r["kv_len"] == "0":
            rows[("prefill", 32, 4, r["prefill_chunk"])] = short(r["attn_ms"])
        if r["phase"] == "decode" and int(r["batch"]) in TOKENS and int(r["kv_len"]) % 128 == 0:
            rows[("decode", 32, 4, r["batch"], r["kv_len"])] = short(r["attn_ms"])
    for r in read("vidur_network.csv.gz"):
        if r["fabric"] == "a100_dgx" and r["collective"] == "all_reduce" and r["num_workers"] == r["devices_per_node"]:
            size = int(r["size_bytes"])
            if size <= 65536 and size % 8192 == 0 or size % (1 << 20) == 0:
                rows[("allreduce", r["num_workers"], size)] = short(r["median_ms"])
    return [(*key, value) for key, value in rows.items()]


def rtx(gpu):
    rows, pointwise = [], {}
    shapes = {"qkv_proj": (6144, 4096), "o_proj": (4096, 4096), "gate_up_proj": (28672, 4096),
              "down_proj": (4096, 14336), "lm_head": (128256, 4096)}

    def mine(r):
        return r["gpu"] == gpu and r["model"] == "meta-llama/Llama-3.1-8B" and r["tp"] == "1"

    for name, column in (("dense", "tokens"), ("per_sequence", "sequences")):
        for r in filter(mine, read(f"llmservingsim_vllm019_{name}.csv.gz")):
            if r["layer"] in shapes:
                rows.append(("gemm", r[column], *shapes[r["layer"]], f'{float(r["time_us"]):.4g}'))
            if r["layer"] in ("act_fn", "layernorm", "rotary_emb"):
                times = 2 if r["layer"] == "layernorm" else 1
                pointwise[r[column]] = pointwise.get(r[column], 0) + times * float(r["time_us"])
    rows += [("pointwise", 4096, m, f"{us:.4g}") for m, us in pointwise.items()]
    for r in filter(mine, read("llmservingsim_vllm019_attention.csv.gz")):
        if r["prefill_chunk"] == "0":
            rows.append(("decode", 32, 8, r["n_decode"], r["kv_decode"], f'{float(r["time_us"]):.4g}'))
        elif r["n_decode"] == "0" and r["kv_prefill"] == "0":
            rows.append(("prefill", 32, 8, r["prefill_chunk"], f'{float(r["time_us"]):.4g}'))
    return rows


write("h100.csv.gz", hopper("h100"))
write("h200.csv.gz", hopper("h200"))
write("a100.csv.gz", ampere())
write("rtx4090.csv.gz", rtx("RTX4090"))
write("rtxpro6000.csv.gz", rtx("RTXPRO6000"))
