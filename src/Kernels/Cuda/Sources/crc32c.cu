// CRC-32C (Castagnoli, reflected) of neighbouring pieces of memory, for bytes that came from a disk past the host. One thread
// block a piece. Each thread runs over its share of the piece byte by byte; the states are joined by what a CRC is, the
// remainder of a polynomial: the state of bytes A, then B, is A's state times x^(8 |B|), plus B's.
#include "krewe.cuh"

#define CRC_THREADS 256
#define CRC_POLYNOMIAL 0x82f63b78u

struct Crc32cArguments
{
    const uint8_t* memory;  // [grid.x][bytes]
    uint32_t* checksums;    // [grid.x]
    int64_t bytes;          // of a piece, a multiple of 16
};

// Product of two polynomials modulo the CRC's; bit 31 is x^0.
KREWE_DEVICE uint32_t crc_multiply(uint32_t left, uint32_t right)
{
    uint32_t product = 0;
    for (int i = 31; i >= 0; i--)
    {
        if (left >> i & 1) product ^= right;
        right = right & 1 ? right >> 1 ^ CRC_POLYNOMIAL : right >> 1;
    }
    return product;
}

// x^(8 bytes).
KREWE_DEVICE uint32_t crc_power(int64_t bytes)
{
    uint32_t power = 0x80000000u, square = 0x00800000u;
    for (; bytes > 0; bytes >>= 1)
    {
        if (bytes & 1) power = crc_multiply(power, square);
        square = crc_multiply(square, square);
    }
    return power;
}

KREWE_KERNEL(crc32c, Crc32cArguments, CRC_THREADS)
{
    __shared__ uint32_t table[256];
    __shared__ uint32_t joined[CRC_THREADS / WARP_LANES];
    uint32_t entry = threadIdx.x;
    for (int i = 0; i < 8; i++) entry = entry & 1 ? entry >> 1 ^ CRC_POLYNOMIAL : entry >> 1;
    table[threadIdx.x] = entry;
    __syncthreads();

    int64_t share = (args.bytes / 16 + CRC_THREADS - 1) / CRC_THREADS * 16;
    int64_t first = threadIdx.x * share, last = first + share;
    if (last > args.bytes) last = args.bytes;
    const uint8_t* piece = args.memory + blockIdx.x * args.bytes;
    uint32_t state = threadIdx.x == 0 ? 0xffffffffu : 0;
    for (int64_t at = first; at < last; at += 16)
    {
        uint4 vector = *(const uint4*)(piece + at);
        uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
        for (int i = 0; i < 16; i++) state = state >> 8 ^ table[(state ^ words[i / 4] >> i % 4 * 8) & 0xff];
    }
    state = first < args.bytes ? crc_multiply(crc_power(args.bytes - last), state) : 0;

    for (int distance = 16; distance > 0; distance >>= 1) state ^= __shfl_xor_sync(ALL_LANES, state, distance);
    if (threadIdx.x % WARP_LANES == 0) joined[threadIdx.x / WARP_LANES] = state;
    __syncthreads();
    if (threadIdx.x > 0) return;
    uint32_t sum = 0xffffffffu;
    for (int warp = 0; warp < CRC_THREADS / WARP_LANES; warp++) sum ^= joined[warp];
    args.checksums[blockIdx.x] = sum;
}
