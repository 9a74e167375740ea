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

#define EMBEDDING_THREADS 256
// Elements of a thread that are under way at once.
#define EMBEDDING_AHEAD 8

KREWE_KERNEL(embedding, EmbeddingArguments, EMBEDDING_THREADS)
{
    int row = blockIdx.x;
    if (row >= args.counts[0]) return;
    int token = args.tokens[row];
    if (token < 0) token = args.drawn[~token];
    // The launcher checks tokens; no token could be drawn (-1) or whatever else comes must not read foreign memory.
    if (token < 0 || token >= args.vocabulary) token = 0;
    const element* source = args.table + (int64_t)token * args.table_stride;
    float* target = args.residual + (int64_t)row * args.residual_stride;
    for (int first = threadIdx.x; first < args.hidden; first += EMBEDDING_AHEAD * EMBEDDING_THREADS)
    {
        element of[EMBEDDING_AHEAD];
#pragma unroll
        for (int i = 0; i < EMBEDDING_AHEAD; i++)
            of[i] = first + i * EMBEDDING_THREADS < args.hidden ? source[first + i * EMBEDDING_THREADS] : (element)0;
#pragma unroll
        for (int i = 0; i < EMBEDDING_AHEAD; i++)
            if (first + i * EMBEDDING_THREADS < args.hidden) target[first + i * EMBEDDING_THREADS] = to_float(of[i]);
    }
}
