// residual[row] = table[token of row], in FP32. One thread block a row. A token ~i is the one that the step before drew
// for its logit row i: the host queues a step before it knows the last one's tokens.
#include "krewe.cuh"

struct EmbeddingArguments
{
    const element* table;  // [vocabulary x table_stride]
    const int* tokens;     // [rows]
    const int* drawn;      // of the step before; read only where a token is ~i
    const int* counts;     // counts[0]: rows
    float* residual;       // [rows x residual_stride]
    int hidden;
    int table_stride;
    int residual_stride;
    int vocabulary;
};

KREWE_KERNEL(embedding, EmbeddingArguments, 256)
{
    int row = blockIdx.x;
    if (row >= args.counts[0]) return;
    int token = args.tokens[row];
    if (token < 0) token = args.drawn[~token];
    // The launcher checks tokens; no token could be drawn (-1) or whatever else comes must not read foreign memory.
    if (token < 0 || token >= args.vocabulary) token = 0;
    const element* source = args.table + (int64_t)token * args.table_stride;
    float* target = args.residual + (int64_t)row * args.residual_stride;
    for (int i = threadIdx.x; i < args.hidden; i += blockDim.x) target[i] = to_float(source[i]);
}
