// residual[row] = table[token of row], in FP32. One thread block a row.
#include "krewe.cuh"

struct EmbeddingArguments
{
    const element* table;  // [vocabulary x table_stride]
    const int* tokens;     // [rows]
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
    // The launcher checks tokens; whatever else may come must not read foreign memory.
    if (token < 0 || token >= args.vocabulary) token = 0;
    const element* source = args.table + (int64_t)token * args.table_stride;
    float* target = args.residual + (int64_t)row * args.residual_stride;
    for (int i = threadIdx.x; i < args.hidden; i += blockDim.x) target[i] = to_float(source[i]);
}
