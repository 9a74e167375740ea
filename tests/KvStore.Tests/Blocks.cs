using Krewe.Abstractions;
using Krewe.KvStore.Disk;

namespace Krewe.KvStore.Tests;

/// <summary>Blocks whose bytes follow from their key, so that any reader can tell right from wrong.</summary>
internal static class Blocks
{
    /// <summary>4 layers of 8 KiB: whole pages.</summary>
    public static readonly KvGeometry Aligned = new(4, 2, 64, 16, KvFormat.BF16);

    /// <summary>3 layers of 1536 bytes: no layer but the first begins on a page.</summary>
    public static readonly KvGeometry Odd = new(3, 1, 24, 16, KvFormat.BF16);

    public static readonly NumericsFingerprint Numerics = new("cpu", "v512+fma", 1, "BF16", KvFormat.BF16);

    public static BlockKey Key(int number) => new((ulong)number * 0x9E3779B97F4A7C15, (ulong)number + 1);

    public static byte[] Payload(BlockKey key, KvGeometry geometry)
    {
        var bytes = new byte[geometry.BlockBytes];
        new Random((int)(key.Low * 31 + key.High)).NextBytes(bytes);
        return bytes;
    }

    public static SsdStoreOptions Options(string directory, KvGeometry geometry, int slots = 16) => new()
    {
        Directories = [directory],
        Geometry = geometry,
        Numerics = Numerics,
        CapacityBytes = 4096 + slots * (4096 + (geometry.BlockBytes + 4095L) / 4096 * 4096),
        StagingBuffers = 8,
    };

    public static async Task PutAsync(this SsdObjectStore store, int number)
    {
        var key = Key(number);
        var result = await store.PutAsync(key, Payload(key, store.Geometry));
        Assert.Equal(PutOutcome.Stored, result.Outcome);
    }

    /// <summary>Reads the block and fails the test if it is served with any other bytes than its own.</summary>
    public static async Task<ReadOutcome> GetAsync(this SsdObjectStore store, int number)
    {
        var key = Key(number);
        var destination = new byte[store.PayloadBytes];
        var result = await store.GetAsync(key, destination);
        if (result.IsHit) Assert.True(Payload(key, store.Geometry).AsSpan().SequenceEqual(destination), "wrong bytes");
        return result.Outcome;
    }
}
