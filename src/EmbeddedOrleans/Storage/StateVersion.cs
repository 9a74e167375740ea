using System.Security.Cryptography;
using Orleans.Storage;

namespace Krewe.EmbeddedOrleans;

/// <summary>A version is a digest of the record's bytes: it needs no counter and finds damage as well.</summary>
internal static class StateVersion
{
    private const int DigestBytes = 16;

    public static string? Of(byte[]? json) =>
        json is null ? null : Convert.ToHexStringLower(SHA256.HashData(json).AsSpan(0, DigestBytes));

    /// <exception cref="InconsistentStateException">The stored version is not the one the writer read.</exception>
    public static void ThrowIfOther(StateKey key, byte[]? stored, string? expected) =>
        ThrowIfOther(key, Of(stored), expected);

    /// <inheritdoc cref="ThrowIfOther(StateKey, byte[], string)"/>
    public static void ThrowIfOther(StateKey key, string? actual, string? expected)
    {
        if (actual != expected)
            throw new InconsistentStateException(
                $"The {key} has version {actual ?? "none"}, not {expected ?? "none"}: read it again before writing.",
                actual,
                expected);
    }
}
