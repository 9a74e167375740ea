using System.Security.Cryptography;
using System.Text;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// Compiled kernels on disk: compiling takes seconds, and a worker that restarts should not pay again. The name of a
/// file is a hash of all that decides its content (sources, options, architecture, compiler version); the file ends
/// with a hash of its own bytes, so that a torn or foreign file is compiled again and never loaded.
/// </summary>
public sealed class KernelCache(string directory)
{
    public string Directory { get; } = directory;

    /// <summary>"krewe/cuda" in the user's cache directory.</summary>
    public static string UsualDirectory()
    {
        var root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(root))
        {
            root = Path.Combine(
                Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.None),
                ".cache");
        }

        return Path.Combine(root, "krewe", "cuda");
    }

    /// <summary>The image from disk, or compiled and kept. A directory that cannot be written only costs
    /// time.</summary>
    public byte[] Get(Nvrtc compiler, IReadOnlyList<KernelSource> sources, string target, KernelOptions options)
    {
        ArgumentNullException.ThrowIfNull(compiler);
        ArgumentNullException.ThrowIfNull(options);
        var arguments = options.ToCompiler();
        var path = Path.Combine(Directory, $"{NameOf(sources, target, arguments, compiler.Version)}.image");
        if (TryRead(path) is { } kept) return kept;
        var image = compiler.Compile(sources, target, arguments);
        TryWrite(path, image);
        return image;
    }

    /// <summary>A hash of everything that decides the image.</summary>
    public static string NameOf(
        IReadOnlyList<KernelSource> sources, string target, IReadOnlyList<string> options, Version compiler)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in sources.SelectMany(source => new[] { source.Name, source.Text })
            .Concat(options).Append(target).Append($"{compiler}"))
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            // Lengths, so that no two lists of parts run into the same bytes.
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }

    private static byte[]? TryRead(string path)
    {
        try
        {
            var bytes = File.ReadAllBytes(path);
            if (bytes.Length <= SHA256.HashSizeInBytes) return null;
            var image = bytes[..^SHA256.HashSizeInBytes];
            return SHA256.HashData(image).AsSpan().SequenceEqual(bytes.AsSpan(image.Length)) ? image : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void TryWrite(string path, byte[] image)
    {
        var temporary = $"{path}.{Environment.ProcessId}-{Environment.CurrentManagedThreadId}";
        try
        {
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(temporary, [.. image, .. SHA256.HashData(image)]);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not kept: the next start compiles again. Nothing may lie about half written.
            if (File.Exists(temporary)) File.Delete(temporary);
        }
    }
}
