// output = residual / sqrt(mean(residual^2) + epsilon) * weight, as elements (arXiv 1910.07467); before that, where
// there is an addend, residual += addend. One thread block a row; squares are summed by thread (elements i, i + 1024,
// ...), then by block_sum: an order that the width alone decides.
//
// A decode step runs this between any two products with the GPU otherwise idle, so what counts is how often a thread waits
// for memory: all of its loads are under way before it adds.
#include "krewe.cuh"

#define NORM_THREADS 1024
// Elements of a thread that are under way at once; rows of up to 4096 are read once.
#define NORM_AHEAD 4

struct RmsNormArguments
{
    float* residual;      // [.. x residual_stride]
    Partials addend;      // data null: none
    const float* weight;  // [hidden]
    element* output;      // [rows x output_stride]; columns behind hidden become 0
    const int* rows;      // output row r is of residual row rows[r]; null: of row r
    const int* count;     // rows
    int hidden;
    int residual_stride;
    int output_stride;
    float epsilon;
};

KREWE_KERNEL(rms_norm, RmsNormArguments, NORM_THREADS)
{
    __shared__ float scratch[NORM_THREADS / WARP_LANES];
    if (blockIdx.x >= args.count[0]) return;
    int row = args.rows ? args.rows[blockIdx.x] : blockIdx.x;
    float* residual = args.residual + (int64_t)row * args.residual_stride;
    float value[NORM_AHEAD], weight[NORM_AHEAD];
    float squares = 0;
    for (int first = threadIdx.x; first < args.hidden; first += NORM_AHEAD * NORM_THREADS)
    {
#pragma unroll
        for (int i = 0; i < NORM_AHEAD; i++)
        {
            int at = first + i * NORM_THREADS;
            bool there = at < args.hidden;
            value[i] = there ? residual[at] : 0.0f;
            weight[i] = there ? args.weight[at] : 0.0f;
        }
        if (args.addend.data)
        {
            float sum[NORM_AHEAD];
            fold_some<NORM_AHEAD, NORM_THREADS>(sum, args.addend, row, first, args.hidden);
#pragma unroll
            for (int i = 0; i < NORM_AHEAD; i++)
            {
                int at = first + i * NORM_THREADS;
                value[i] += sum[i];
                if (at < args.hidden) residual[at] = value[i];
            }
        }
#pragma unroll
        for (int i = 0; i < NORM_AHEAD; i++) squares = fmaf(value[i], value[i], squares);
    }

    float scale = 1.0f / sqrtf(block_sum(squares, scratch) / args.hidden + args.epsilon);
    element* output = args.output + (int64_t)blockIdx.x * args.output_stride;
    bool kept = args.hidden <= NORM_AHEAD * NORM_THREADS;
    for (int first = threadIdx.x; first < args.output_stride; first += NORM_AHEAD * NORM_THREADS)
    {
#pragma unroll
        for (int i = 0; i < NORM_AHEAD; i++)
        {
            int at = first + i * NORM_THREADS;
            if (at >= args.output_stride) continue;
            bool there = at < args.hidden;
            float of = kept ? value[i] : there ? residual[at] : 0.0f;
            float times = kept ? weight[i] : there ? args.weight[at] : 0.0f;
            output[at] = there ? to_element(of * scale * times) : (element)0;
        }
    }
}
