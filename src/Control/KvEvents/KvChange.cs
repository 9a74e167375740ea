using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Control.KvEvents;

/// <summary>What happened to a block in one worker's tiers.</summary>
public enum KvChangeKind
{
    /// <summary>The block can be found in the tier from now on.</summary>
    Stored = 0,

    /// <summary>The tier no longer has the block.</summary>
    Removed = 1,

    /// <summary>The tier no longer has the block, the other one has it from now on.</summary>
    Moved = 2,
}

/// <summary>One KV event.</summary>
/// <param name="Tier">The tier that the kind speaks of.</param>
/// <param name="To">Where it moved; only of <see cref="KvChangeKind.Moved"/>.</param>
/// <param name="IsGroupHead">First of a group of blocks of a prefix: the group's KV block grain is named by it.</param>
public readonly record struct KvChange(
    KvChangeKind Kind, KvTier Tier, PrefixHash Hash, KvTier To = KvTier.Device, bool IsGroupHead = false)
{
    /// <summary>Bytes of a hash on the wire, little endian.</summary>
    public const int HashBytes = 16;

    /// <summary>
    /// Everything but the hash in one byte: kind in bits 0-1, tier in bits 2-3, where it moved in bits 4-5, group head
    /// in bit 7.
    /// </summary>
    public byte Pack() => (byte)((int)Kind | ((int)Tier << 2) | ((int)To << 4) | (IsGroupHead ? 0x80 : 0));

    /// <summary>Null for a byte that this version does not know.</summary>
    public static KvChange? Unpack(byte packed, PrefixHash hash)
    {
        var kind = (KvChangeKind)(packed & 3);
        if (kind > KvChangeKind.Moved || (packed & 0x40) != 0) return null;
        return new KvChange(
            kind, (KvTier)((packed >> 2) & 3), hash, (KvTier)((packed >> 4) & 3), (packed & 0x80) != 0);
    }
}
