using System.Buffers.Binary;
using System.Text;

namespace Krewe.Models.Tests.Checkpoints;

/// <summary>Safetensors bytes, right or wrong as a test wants them.</summary>
internal static class SafetensorsFixture
{
    /// <summary>Two tensors: a F32 [2,3] holding 0..5 and b BF16 [4] holding 1, -2, 0.5, 3.</summary>
    public const string Header = """
        {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
         "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}
        """;

    public static byte[] Data { get; } =
    [
        .. new float[] { 0, 1, 2, 3, 4, 5 }.SelectMany(BitConverter.GetBytes),
        0x80, 0x3F, 0x00, 0xC0, 0x00, 0x3F, 0x40, 0x40,
    ];

    public static byte[] File(string header, byte[] data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        return [.. length, .. json, .. data];
    }
}
