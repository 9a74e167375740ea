using System.Runtime.InteropServices;
using System.Text;

namespace Krewe.Kernels.Cuda;

/// <summary>NVIDIA's run-time compiler.</summary>
public sealed unsafe class Nvrtc
{
    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> _createProgram;
    private readonly delegate* unmanaged<nint*, int> _destroyProgram;
    private readonly delegate* unmanaged<nint, int, byte**, int> _compileProgram;
    private readonly delegate* unmanaged<nint, nuint*, int> _getLogSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getLog;
    private readonly delegate* unmanaged<nint, nuint*, int> _getCubinSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getCubin;
    private readonly delegate* unmanaged<nint, nuint*, int> _getPtxSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getPtx;
    private readonly delegate* unmanaged<int, byte*> _getErrorString;

    private Nvrtc(nint library)
    {
        var table = new FunctionTable(library, CudaLibrary.Compiler);
        var version = (delegate* unmanaged<int*, int*, int>)table["nvrtcVersion"];
        var countArchitectures = (delegate* unmanaged<int*, int>)table["nvrtcGetNumSupportedArchs"];
        var listArchitectures = (delegate* unmanaged<int*, int>)table["nvrtcGetSupportedArchs"];
        _createProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)
            table["nvrtcCreateProgram"];
        _destroyProgram = (delegate* unmanaged<nint*, int>)table["nvrtcDestroyProgram"];
        _compileProgram = (delegate* unmanaged<nint, int, byte**, int>)table["nvrtcCompileProgram"];
        _getLogSize = (delegate* unmanaged<nint, nuint*, int>)table["nvrtcGetProgramLogSize"];
        _getLog = (delegate* unmanaged<nint, byte*, int>)table["nvrtcGetProgramLog"];
        _getCubinSize = (delegate* unmanaged<nint, nuint*, int>)table["nvrtcGetCUBINSize"];
        _getCubin = (delegate* unmanaged<nint, byte*, int>)table["nvrtcGetCUBIN"];
        _getPtxSize = (delegate* unmanaged<nint, nuint*, int>)table["nvrtcGetPTXSize"];
        _getPtx = (delegate* unmanaged<nint, byte*, int>)table["nvrtcGetPTX"];
        _getErrorString = (delegate* unmanaged<int, byte*>)table["nvrtcGetErrorString"];
        table.Demand();
        int major, minor, count;
        Check(version(&major, &minor), "nvrtcVersion", "");
        Version = new Version(major, minor);
        Check(countArchitectures(&count), "nvrtcGetNumSupportedArchs", "");
        var architectures = new int[count];
        fixed (int* list = architectures) Check(listArchitectures(list), "nvrtcGetSupportedArchs", "");
        Architectures = architectures;
    }

    public Version Version { get; }

    /// <summary>Compute capabilities times ten that it makes machine code for.</summary>
    public IReadOnlyList<int> Architectures { get; }

    /// <summary>What it said of the sources that it took last: warnings, and with -v what kernels use.</summary>
    internal string LastLog { get; private set; } = "";

    /// <summary>Loads the newest one that is there; where there are several, one that is not of a later CUDA than the
    /// driver, which might not take its images.</summary>
    /// <exception cref="CudaException">The library is missing.</exception>
    public static Nvrtc Load(CudaLibraries libraries, CudaDriver? driver = null)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        var newest = driver is null ? int.MaxValue : driver.Version / 1000;
        var fitting = CudaLibrary.Compiler with
        {
            FileNames = [.. CudaLibrary.Compiler.FileNames.Where(name => MajorOf(name) <= newest)],
        };
        var library = libraries.TryLoad(fitting, out var path)
            ?? libraries.Load(CudaLibrary.Compiler, out path);
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder) LoadBuiltins(folder);
        return new Nvrtc(library);
    }

    /// <summary>Of the CUDA that a file is of; 0 where its name does not say.</summary>
    private static int MajorOf(string file)
    {
        var digits = file.SkipWhile(c => c is not ('_' or '1')).SkipWhile(c => c == '_').TakeWhile(char.IsAsciiDigit);
        return int.TryParse(string.Concat(digits.Take(2)), out var major) ? major : 0;
    }

    /// <summary>
    /// NVRTC opens a second library by its bare name when it compiles. Beside one that was found in a folder which the
    /// system's loader does not know, that would fail; a library that is loaded already is found by its name.
    /// </summary>
    private static void LoadBuiltins(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, "libnvrtc-builtins.so*"))
            NativeLibrary.TryLoad(file, out _);
    }

    /// <summary>Whether it compiles for Hopper's own instructions ("sm_90a"): since CUDA 12.0.</summary>
    public bool KnowsWgmma => Version.Major >= 12 && Architectures.Contains(CudaKernels.WgmmaArchitecture);

    /// <summary>
    /// "sm_90" where it knows the GPU; else "compute_" of the newest architecture before it: intermediate code, which
    /// the driver translates.
    /// </summary>
    /// <exception cref="CudaException">It knows no architecture that this GPU could run.</exception>
    public string TargetFor(int architecture)
    {
        if (Architectures.Contains(architecture)) return $"sm_{architecture}";
        var older = Architectures.Where(known => known < architecture).DefaultIfEmpty(0).Max();
        return older >= CudaDriver.OldestArchitecture
            ? $"compute_{older}"
            : throw new CudaException(
                $"NVRTC {Version} compiles for sm_{Architectures.Max()} at most, this GPU is sm_{architecture}.");
    }

    /// <summary>Compiles the sources into an image for the driver.</summary>
    /// <exception cref="CudaException">It does not compile; the message has the compiler's words.</exception>
    public byte[] Compile(IReadOnlyList<KernelSource> sources, string target, IReadOnlyList<string> options)
    {
        ArgumentNullException.ThrowIfNull(sources);
        using var text = new NativeStrings();
        var main = sources.Single(source => source.Name == KernelSources.Main);
        nint program;
        Check(
            _createProgram(
                &program, text.Add(main.Text), text.Add(main.Name), sources.Count,
                text.AddAll(sources.Select(source => source.Text)), text.AddAll(sources.Select(source => source.Name))),
            "nvrtcCreateProgram", $"{sources.Count} sources");
        try
        {
            string[] all = [$"--gpu-architecture={target}", .. options];
            var status = _compileProgram(program, all.Length, text.AddAll(all));
            var log = Log(program);
            if (status != 0) Check(status, "nvrtcCompileProgram", $"{string.Join(' ', all)}\n{log}");
            LastLog = log;
            return target.StartsWith("sm_", StringComparison.Ordinal)
                ? Image(program, _getCubinSize, _getCubin, "nvrtcGetCUBIN")
                : Image(program, _getPtxSize, _getPtx, "nvrtcGetPTX");
        }
        finally
        {
            _ = _destroyProgram(&program);
        }
    }

    private byte[] Image(
        nint program, delegate* unmanaged<nint, nuint*, int> size, delegate* unmanaged<nint, byte*, int> get,
        string call)
    {
        nuint bytes;
        Check(size(program, &bytes), call, "");
        var image = new byte[(int)bytes];
        fixed (byte* target = image) Check(get(program, target), call, $"{bytes} bytes");
        return image;
    }

    private string Log(nint program)
    {
        nuint bytes;
        if (_getLogSize(program, &bytes) != 0 || bytes == 0) return "";
        var log = new byte[(int)bytes];
        fixed (byte* target = log)
        {
            if (_getLog(program, target) != 0) return "";
        }

        return Encoding.UTF8.GetString(log).TrimEnd('\0', '\n');
    }

    private void Check(int status, string call, string what)
    {
        if (status != 0)
            throw new CudaException(call, status, Marshal.PtrToStringUTF8((nint)_getErrorString(status)) ?? "", what);
    }
}
