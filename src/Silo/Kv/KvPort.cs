using System.Buffers.Binary;
using System.Globalization;
using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;
using Krewe.Grains;
using Krewe.Silo.Links;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Kv;

/// <summary>Tells workers which KV to keep, over their links.</summary>
internal sealed class KvPort(ClusterView view) : IKvPort
{
    /// <summary>How hashes are written outside: 32 hexadecimal digits.</summary>
    public static string Format(PrefixHash hash) => hash.Value.ToString("x32", CultureInfo.InvariantCulture);

    public void Keep(WorkerIncarnation worker, string hash, TimeSpan life)
    {
        var bytes = new byte[KvChange.HashBytes];
        BinaryPrimitives.WriteUInt128LittleEndian(
            bytes, UInt128.Parse(hash, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        view.Find(worker)?.Keep(new Wire.KvKeep
        {
            Hash = UnsafeByteOperations.UnsafeWrap(bytes),
            LifeMs = (uint)Math.Clamp(life.TotalMilliseconds, 0, uint.MaxValue),
        });
    }
}
