using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Krewe.Kernels;

namespace Krewe.Workers;

/// <summary>
/// Every thread reads its share of one slice of a buffer, in one or four parallel streams, and adds it up. Each run
/// takes the next slice: about as long as a decode step, and no slice is in the caches when its turn comes again.
/// </summary>
internal sealed unsafe class ReadProgram : IStepProgram
{
    /// <summary>Bytes of one turn of the loop in one stream: two cache lines.</summary>
    private const int TurnBytes = 128;

    /// <summary>How far ahead of each of four streams a line is asked for, as the products of one row do.</summary>
    private const nint AheadBytes = 2048;

    private const long SliceBytes = 256L << 20;

    private readonly NativeArray<byte> _buffer;
    private readonly int _streams;
    private readonly long _streamBytes;
    private readonly ulong[] _sums;
    private int _runs;

    public ReadProgram(NativeArray<byte> buffer, int threads, int streams)
    {
        (_buffer, _streams) = (buffer, streams);
        var slice = Math.Min(SliceBytes, buffer.Length);
        Slices = (int)(buffer.Length / slice);
        _streamBytes = slice / threads / streams / TurnBytes * TurnBytes;
        ArgumentOutOfRangeException.ThrowIfZero(_streamBytes, nameof(buffer));
        Bytes = _streamBytes * streams * threads;
        _sums = new ulong[threads];
    }

    /// <summary>Read by one run of the program.</summary>
    public long Bytes { get; }

    /// <summary>Runs that read the whole buffer once.</summary>
    public int Slices { get; }

    public int PhaseCount => 1;

    public void Advance() => _runs++;

    public void RunPhase(int phase, int share)
    {
        var start = _buffer.Data + (_runs % Slices * Bytes) + (share * _streams * _streamBytes);
        // Kept, so that the compiler cannot find the reads to be of no use.
        _sums[share] = _streams == 1 ? ReadOne(start, _streamBytes) : ReadFour(start, _streamBytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong ReadOne(byte* start, long bytes)
    {
        var (a, b, c, d) = (Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero);
        for (nint i = 0; i < bytes; i += TurnBytes)
        {
            a += Vector256.Load((ulong*)(start + i));
            b += Vector256.Load((ulong*)(start + i + 32));
            c += Vector256.Load((ulong*)(start + i + 64));
            d += Vector256.Load((ulong*)(start + i + 96));
        }

        return Vector256.Sum(a + b + c + d);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong ReadFour(byte* start, long bytes)
    {
        var second = start + bytes;
        var third = second + bytes;
        var fourth = third + bytes;
        var (a, b, c, d) = (Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero, Vector256<ulong>.Zero);
        for (nint i = 0; i < bytes; i += 64)
        {
            if (Sse.IsSupported)
            {
                // May lie behind the buffer: a hint does not fault.
                Sse.Prefetch0(start + i + AheadBytes);
                Sse.Prefetch0(second + i + AheadBytes);
                Sse.Prefetch0(third + i + AheadBytes);
                Sse.Prefetch0(fourth + i + AheadBytes);
            }

            a += Vector256.Load((ulong*)(start + i)) + Vector256.Load((ulong*)(start + i + 32));
            b += Vector256.Load((ulong*)(second + i)) + Vector256.Load((ulong*)(second + i + 32));
            c += Vector256.Load((ulong*)(third + i)) + Vector256.Load((ulong*)(third + i + 32));
            d += Vector256.Load((ulong*)(fourth + i)) + Vector256.Load((ulong*)(fourth + i + 32));
        }

        return Vector256.Sum(a + b + c + d);
    }
}
