using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>
/// Functions of a library that was loaded at run time. Not [DllImport]: which file stands behind a name is an option,
/// more than one version may be there, and tests put libraries of their own in NVIDIA's place.
/// </summary>
internal readonly struct FunctionTable(nint library, CudaLibrary names)
{
    private readonly List<string> _missing = [];

    /// <summary>The first of these names that the library has; 0 when it has none, which <see cref="Demand"/> reports.
    /// </summary>
    public nint this[params ReadOnlySpan<string> candidates]
    {
        get
        {
            foreach (var name in candidates)
            {
                if (NativeLibrary.TryGetExport(library, name, out var address)) return address;
            }

            _missing.Add(candidates[0]);
            return 0;
        }
    }

    /// <summary>0 when the library does not have it.</summary>
    public nint Optional(string name) => NativeLibrary.TryGetExport(library, name, out var address) ? address : 0;

    /// <exception cref="CudaException">The library is too old.</exception>
    public void Demand()
    {
        if (_missing.Count > 0)
            throw new CudaException($"{names.Name} is too old: it lacks {string.Join(", ", _missing)}. Krewe needs "
                + $"{names.Purpose}.");
    }
}
