using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;

namespace Krewe.Models;

/// <summary>Where one tensor lies: bytes [Begin, End) of the data that follows the header.</summary>
internal sealed record TensorEntry(string Name, string TypeName, int[] Shape, long Begin, long End);

/// <summary>
/// The header of a safetensors file: 8 bytes of little-endian length, then JSON, then data. Invariant after
/// <see cref="Read"/>: the tensors tile the data exactly, each with the size that its type and shape say, so that no
/// access through an entry can leave the file. Format: https://huggingface.co/docs/safetensors.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>The reference implementation refuses longer headers too; it bounds what a corrupt length allocates.
    /// </summary>
    public const long HeaderBytesMax = 100_000_000;

    private static readonly Dictionary<string, int> BytesOfType = new(StringComparer.Ordinal)
    {
        ["BOOL"] = 1,
        ["U8"] = 1,
        ["I8"] = 1,
        ["F8_E5M2"] = 1,
        ["F8_E4M3"] = 1,
        ["F8_E8M0"] = 1,
        ["I16"] = 2,
        ["U16"] = 2,
        ["F16"] = 2,
        ["BF16"] = 2,
        ["I32"] = 4,
        ["U32"] = 4,
        ["F32"] = 4,
        ["F64"] = 8,
        ["I64"] = 8,
        ["U64"] = 8,
    };

    /// <summary>Length of the header's JSON in bytes, checked against the file's size.</summary>
    public static int ReadLength(string file, ReadOnlySpan<byte> firstBytes, long fileBytes)
    {
        if (fileBytes < 8 || firstBytes.Length < 8)
            throw new ModelException($"{file}: the file has {fileBytes} bytes; a safetensors file starts with an "
                + "8-byte header length. Download the file again.");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(firstBytes);
        if (length > HeaderBytesMax)
            throw new ModelException($"{file}: the header length {length} is above {HeaderBytesMax}. This is not a "
                + "safetensors file, or its first bytes are corrupt.");
        if ((long)length > fileBytes - 8)
            throw new ModelException($"{file}: the header length {length} does not fit into a file of {fileBytes} "
                + "bytes. The file is truncated; download it again.");
        return (int)length;
    }

    public static List<TensorEntry> Read(string file, ReadOnlyMemory<byte> json, long dataBytes)
    {
        if (json.IsEmpty || json.Span[0] != (byte)'{')
            throw new ModelException($"{file}: the header does not start with '{{'. This is not a safetensors file, or "
                + "its first bytes are corrupt.");
        var names = new HashSet<string>(StringComparer.Ordinal);
        var entries = new List<TensorEntry>();
        foreach (var (name, field) in JsonField.Parse($"{file} (header)", json).Members())
        {
            if (!names.Add(name))
                throw new ModelException($"{file}: the tensor {name} is defined twice in the header.");
            if (name != "__metadata__")
                entries.Add(ReadEntry(file, name, field, dataBytes));
        }

        DemandExactTiling(file, entries, dataBytes);
        return entries;
    }

    private static TensorEntry ReadEntry(string file, string name, JsonField field, long dataBytes)
    {
        var type = field.Required("dtype").AsString();
        if (!BytesOfType.TryGetValue(type, out var bytesPerElement))
            throw new ModelException($"{file}: the tensor {name} has the unknown dtype \"{type}\".");
        var shape = field.Required("shape").Items().Select(extent => extent.AsInt(min: 0)).ToArray();
        var offsets = field.Required("data_offsets").Items().Select(AsOffset).ToArray();
        if (offsets.Length != 2 || offsets[0] > offsets[1] || offsets[1] > dataBytes)
            throw new ModelException($"{file}: the tensor {name} has data_offsets [{string.Join(", ", offsets)}]; two "
                + $"ascending offsets within the {dataBytes} bytes of data are needed. The file may be truncated.");

        var elements = (Int128)1;
        foreach (var extent in shape)
        {
            // A zero extent anywhere makes an empty tensor, so the bound may only be applied to the running product.
            elements *= extent;
            if (elements > long.MaxValue / 8)
                throw new ModelException($"{file}: the tensor {name} has a shape of more than 2^60 elements.");
        }

        if (elements * bytesPerElement != offsets[1] - offsets[0])
            throw new ModelException(string.Create(CultureInfo.InvariantCulture,
                $"{file}: the tensor {name} of {type} [{string.Join(", ", shape)}] needs {elements * bytesPerElement} "
                + $"bytes, its data_offsets span {offsets[1] - offsets[0]}."));
        return new TensorEntry(name, type, shape, offsets[0], offsets[1]);
    }

    private static long AsOffset(JsonField field) =>
        field.Value.ValueKind == JsonValueKind.Number && field.Value.TryGetInt64(out var offset) && offset >= 0
            ? offset
            : throw field.Wrong("a byte offset");

    private static void DemandExactTiling(string file, List<TensorEntry> entries, long dataBytes)
    {
        entries.Sort((a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
        var end = 0L;
        foreach (var entry in entries)
        {
            if (entry.Begin < end)
                throw new ModelException($"{file}: the tensor {entry.Name} starts at byte {entry.Begin} of the data, "
                    + $"inside the tensor before it, which ends at {end}.");
            if (entry.Begin > end)
                throw new ModelException($"{file}: no tensor covers bytes {end} to {entry.Begin} of the data (before "
                    + $"the tensor {entry.Name}).");
            end = entry.End;
        }

        if (end != dataBytes)
            throw new ModelException($"{file}: the tensors end at byte {end} of the data, the file has {dataBytes}.");
    }
}
