using System.Security.Cryptography;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// Identity of a model folder's content: SHA-256 over config.json, tokenizer.json, each weight file's name, size and
/// header, and evenly spaced samples of its data. Reading whole weight files would take minutes; samples catch every
/// retrained or converted checkpoint, not a single flipped bit.
/// </summary>
internal static class ModelFingerprint
{
    private const int SampleBytes = 4096;
    private const int SamplesPerFile = 64;

    public static string Compute(string directory, Checkpoint weights)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in (string[])["config.json", "tokenizer.json"])
            Append(hash, name, File.ReadAllBytes(Path.Combine(directory, name)));
        foreach (var file in weights.Files)
        {
            Append(hash, Path.GetFileName(file.Path), file.Bytes(0, 8 + file.HeaderBytes));
            hash.AppendData(BitConverter.GetBytes(file.FileBytes));
            foreach (var offset in SampleOffsets(file.FileBytes))
                hash.AppendData(file.Bytes(offset, (int)Math.Min(SampleBytes, file.FileBytes - offset)));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>First and last window included; windows overlap where the file is short.</summary>
    private static IEnumerable<long> SampleOffsets(long fileBytes)
    {
        var last = Math.Max(0, fileBytes - SampleBytes);
        for (var i = 0; i < SamplesPerFile; i++)
            yield return (long)((Int128)last * i / (SamplesPerFile - 1));
    }

    // Lengths go in too: otherwise bytes could move from one part to the next unseen.
    private static void Append(IncrementalHash hash, string name, ReadOnlySpan<byte> bytes)
    {
        hash.AppendData(Encoding.UTF8.GetBytes($"{name}\0{bytes.Length}\0"));
        hash.AppendData(bytes);
    }
}
