// Copies many pieces in one launch: blocks out of the arena side by side (gather), back into their places (scatter), or
// from place to place. Offsets and lengths are multiples of 16 bytes; pieces do not overlap. grid.y splits a piece.
#include "krewe.cuh"

struct CopyPiece
{
    int64_t source;
    int64_t target;
    int64_t bytes;
};

struct BlockCopyArguments
{
    const CopyPiece* pieces;  // [grid.x]
    const uint8_t* source;
    uint8_t* target;
};

KREWE_KERNEL(block_copy, BlockCopyArguments, 256)
{
    CopyPiece piece = args.pieces[blockIdx.x];
    const uint4* source = (const uint4*)(args.source + piece.source);
    uint4* target = (uint4*)(args.target + piece.target);
    int64_t vectors = piece.bytes / 16;
    int64_t stride = (int64_t)gridDim.y * blockDim.x;
    int64_t i = (int64_t)blockIdx.y * blockDim.x + threadIdx.x;
    // The compiler cannot know that the pieces do not overlap: loads before stores, so that four are under way.
    for (; i + 3 * stride < vectors; i += 4 * stride)
    {
        uint4 first = source[i], second = source[i + stride];
        uint4 third = source[i + 2 * stride], fourth = source[i + 3 * stride];
        target[i] = first;
        target[i + stride] = second;
        target[i + 2 * stride] = third;
        target[i + 3 * stride] = fourth;
    }
    for (; i < vectors; i += stride) target[i] = source[i];
}
