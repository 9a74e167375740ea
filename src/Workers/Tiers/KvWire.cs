using System.Buffers.Binary;
using Google.Protobuf;
using Krewe.Abstractions.Wire;
using Krewe.Control.KvEvents;

namespace Krewe.Workers;

/// <summary>KV events as a control link carries them.</summary>
internal static class KvWire
{
    public static KvEvents ToWire(this KvBatch batch)
    {
        var changes = batch.Changes.Span;
        var (kinds, hashes) = (new byte[changes.Length], new byte[changes.Length * KvChange.HashBytes]);
        for (var i = 0; i < changes.Length; i++)
        {
            kinds[i] = changes[i].Pack();
            BinaryPrimitives.WriteUInt128LittleEndian(hashes.AsSpan(i * KvChange.HashBytes), changes[i].Hash.Value);
        }

        return new KvEvents
        {
            First = batch.First,
            Kinds = UnsafeByteOperations.UnsafeWrap(kinds),
            Hashes = UnsafeByteOperations.UnsafeWrap(hashes),
            Snapshot = batch.IsSnapshot,
            Offset = (uint)batch.Offset,
            Ends = batch.Ends,
        };
    }
}
