using Krewe.Abstractions;
using Krewe.Workers;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>Whole blocks and the shares of ranks.</summary>
public sealed class KvShardsTests
{
    [Theory]
    [InlineData(1, KvFormat.BF16)]
    [InlineData(2, KvFormat.BF16)]
    [InlineData(4, KvFormat.Int8)]
    public void Runs_cover_every_byte_once_and_heads_stay_whole(int ranks, KvFormat format)
    {
        var whole = new KvGeometry(3, 4, 32, 16, format);
        var part = KvShards.Of(whole, ranks);
        var seen = new Dictionary<(int Rank, int Byte), int>();
        foreach (var (start, length) in new[] { (0, 5000), (5000, 1), (5001, whole.BlockBytes - 5001) })
        {
            var at = start;
            foreach (var run in KvShards.Split(whole, ranks, start, length))
            {
                for (var i = 0; i < run.Length; i++) seen.Add((run.Rank, run.Start + i), at++);
            }

            Assert.Equal(start + length, at);
        }

        Assert.Equal(whole.BlockBytes, seen.Count);
        Assert.Equal(ranks * part.BlockBytes, seen.Count);
        var headBytes = whole.BlockTokens * whole.VectorBytes;
        foreach (var ((rank, place), of) in seen)
        {
            // The same plane, and the head that is the rank's.
            Assert.Equal(of / whole.PlaneBytes, place / part.PlaneBytes);
            Assert.Equal(
                of % whole.PlaneBytes / headBytes, (rank * part.KvHeads) + (place % part.PlaneBytes / headBytes));
            Assert.Equal(of % headBytes, place % headBytes);
        }
    }
}
