// output = silu(gate) * up, as elements (arXiv 2002.05202). A row of the product has all gates, then all ups.
#include "krewe.cuh"

struct SwigluArguments
{
    Partials gate_up;  // rows of 2 * width
    element* output;   // [rows x output_stride]; columns behind width become 0
    const int* count;  // rows
    int width;
    int output_stride;
};

KREWE_KERNEL(swiglu, SwigluArguments, 256)
{
    int row = blockIdx.x;
    if (row >= args.count[0]) return;
    element* output = args.output + (int64_t)row * args.output_stride;
    int i = blockIdx.y * blockDim.x + threadIdx.x;
    if (i >= args.output_stride) return;
    float value = 0;
    if (i < args.width)
    {
        float gate = fold(args.gate_up, row, i);
        float up = fold(args.gate_up, row, args.width + i);
        value = gate / (1.0f + expf(-gate)) * up;
    }
    output[i] = to_element(value);
}
