// output = residual / sqrt(mean(residual^2) + epsilon) * weight, as elements (arXiv 1910.07467); before that, where
// there is an addend, residual += addend. One thread block a row; squares are summed by thread (elements i, i + 256,
// ...), then by block_sum: an order that the width alone decides.
#include "krewe.cuh"

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

KREWE_KERNEL(rms_norm, RmsNormArguments, 256)
{
    __shared__ float scratch[256 / WARP_LANES];
    if (blockIdx.x >= args.count[0]) return;
    int row = args.rows ? args.rows[blockIdx.x] : blockIdx.x;
    float* residual = args.residual + (int64_t)row * args.residual_stride;
    float squares = 0;
    for (int i = threadIdx.x; i < args.hidden; i += blockDim.x)
    {
        float value = residual[i];
        if (args.addend.data)
        {
            value += fold(args.addend, row, i);
            residual[i] = value;
        }
        squares = fmaf(value, value, squares);
    }

    float scale = 1.0f / sqrtf(block_sum(squares, scratch) / args.hidden + args.epsilon);
    element* output = args.output + (int64_t)blockIdx.x * args.output_stride;
    for (int i = threadIdx.x; i < args.output_stride; i += blockDim.x)
        output[i] = i < args.hidden ? to_element(residual[i] * scale * args.weight[i]) : (element)0;
}
