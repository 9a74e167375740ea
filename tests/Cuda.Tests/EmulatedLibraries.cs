using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Krewe.Cuda.Tests;

/// <summary>
/// NVIDIA's libraries by name, built from Emulation/ by the system's C++ compiler: a directory that the product's
/// search path can be pointed at. Built once for each content of the sources, and shared by processes.
/// </summary>
internal static class EmulatedLibraries
{
    private static readonly string[] Names =
        ["libcuda.so.1", "libnvrtc.so.12", "libcublasLt.so.12", "libnccl.so.2", "libcufile.so.0"];

    private static readonly Lazy<(string? Directory, string? Refusal)> Built = new(Build);

    /// <summary>Why there are none; null when there are.</summary>
    public static string? Refusal => Built.Value.Refusal;

    /// <summary>Where they are.</summary>
    public static string Directory =>
        Built.Value.Directory ?? throw new InvalidOperationException(Built.Value.Refusal);

    /// <summary>Compiled kernels are kept here, beside the libraries that compiled them.</summary>
    public static string CacheDirectory => Path.Combine(Directory, "cache");

    private static (string? Directory, string? Refusal) Build()
    {
        if (!OperatingSystem.IsLinux()) return (null, "the emulated GPU is built on Linux only");
        if (!CanRun("g++", "--version")) return (null, "no C++ compiler: install g++ to run the kernels on the CPU");
        var sources = Path.Combine(AppContext.BaseDirectory, "Emulation");
        var directory = Path.Combine(Path.GetTempPath(), "krewe-emulated", HashOf(sources));
        var library = Path.Combine(directory, "libkrewe_emulated.so");
        System.IO.Directory.CreateDirectory(directory);
        using var only = WaitForLock(Path.Combine(directory, "lock"));
        if (!File.Exists(library))
        {
            // The kernels' compiler will look for the header there at any later time.
            foreach (var file in System.IO.Directory.GetFiles(sources))
                File.Copy(file, Path.Combine(directory, Path.GetFileName(file)), overwrite: true);
            Run(directory, "g++", "-std=c++17", "-O3", "-march=native", "-fPIC", "-ffp-contract=off",
                "-fno-strict-aliasing", "-c", "simt.cpp", "wgmma.cpp");
            Run(directory, "g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-Wall",
                $"-DEMULATION_SOURCES=\"{directory}\"", "driver.cpp", "nvrtc.cpp", "nccl.cpp", "cublaslt.cpp",
                "cufile.cpp", "-ldl", "-o", "building.so");
            File.Move(Path.Combine(directory, "building.so"), library);
            foreach (var name in Names.Where(name => !File.Exists(Path.Combine(directory, name))))
                File.CreateSymbolicLink(Path.Combine(directory, name), library);
        }

        return (directory, null);
    }

    private static FileStream WaitForLock(string path)
    {
        for (var patience = Stopwatch.StartNew(); ; Thread.Sleep(50))
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (patience.Elapsed < TimeSpan.FromMinutes(10))
            {
                // Another test process builds.
            }
        }
    }

    private static string HashOf(string sources)
    {
        var all = System.IO.Directory.GetFiles(sources).Order(StringComparer.Ordinal).SelectMany(File.ReadAllBytes);
        return Convert.ToHexStringLower(SHA256.HashData([.. all]).AsSpan(0, 8));
    }

    private static bool CanRun(string program, string argument)
    {
        try
        {
            Run(Path.GetTempPath(), program, argument);
            return true;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static void Run(string directory, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = directory,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var said = new StringBuilder();
        process.ErrorDataReceived += (_, line) => said.AppendLine(line.Data);
        process.BeginErrorReadLine();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {said}");
    }
}

/// <summary>A test on the emulated GPU; skipped, with the reason, where there is no C++ compiler.</summary>
internal sealed class EmulatedFactAttribute : FactAttribute
{
    public EmulatedFactAttribute() => Skip = EmulatedLibraries.Refusal;
}

/// <summary>As <see cref="EmulatedFactAttribute"/>, with data.</summary>
internal sealed class EmulatedTheoryAttribute : TheoryAttribute
{
    public EmulatedTheoryAttribute() => Skip = EmulatedLibraries.Refusal;
}

/// <summary>Takes half a minute: with <c>./krewe test --long</c> only.</summary>
internal sealed class LongEmulatedFactAttribute : FactAttribute
{
    public LongEmulatedFactAttribute() => Skip = EmulatedLibraries.Refusal
        ?? (Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1"
            ? null
            : "takes half a minute; ./krewe test --long runs it");
}
