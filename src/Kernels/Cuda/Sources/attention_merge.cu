// Folds the partitions that attention_decode left of rows that see more than one, in order of position. One thread block
// a row and head, one thread a dimension.
#include "attention.cuh"

// Partitions whose numbers are under way at once.
#define MERGE_AHEAD 4

KREWE_KERNEL(attention_merge, AttentionArguments, HEAD_DIM)
{
    int item = blockIdx.x, head = blockIdx.y, dim = threadIdx.x;
    if (item >= args.count[0]) return;
    int row = args.work[3 * item], position = args.work[3 * item + 1];
    int first = seen_first(args, position) / PARTITION_KEYS, last = position / PARTITION_KEYS;
    if (first == last) return;
    const float* partial = args.partial
        + ((int64_t)item * args.kv_heads * args.group + head) * args.partitions * (HEAD_DIM + 2);
    float maximum = -KREWE_INFINITY, total = 0, sum = 0;
    for (int partition = first; partition <= last; partition += MERGE_AHEAD)
    {
        float maxima[MERGE_AHEAD], totals[MERGE_AHEAD], sums[MERGE_AHEAD];
#pragma unroll
        for (int i = 0; i < MERGE_AHEAD; i++)
        {
            if (partition + i > last) continue;
            const float* from = partial + (int64_t)(partition + i) * (HEAD_DIM + 2);
            maxima[i] = from[HEAD_DIM];
            totals[i] = from[HEAD_DIM + 1];
            sums[i] = from[dim];
        }
#pragma unroll
        for (int i = 0; i < MERGE_AHEAD; i++)
        {
            if (partition + i > last) continue;
            float of_older, of_newer;
            weigh(maximum, maxima[i], of_older, of_newer);
            maximum = fmaxf(maximum, maxima[i]);
            total = join(total, totals[i], of_older, of_newer);
            sum = join(sum, sums[i], of_older, of_newer);
        }
    }
    args.output[(int64_t)row * args.output_stride + head * HEAD_DIM + dim] = to_element(sum / total);
}
