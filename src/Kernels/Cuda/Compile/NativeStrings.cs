using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>Strings and arrays of them as C has them, freed together.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly List<nint> _memory = [];

    public byte* Add(string text)
    {
        var copy = Marshal.StringToCoTaskMemUTF8(text);
        _memory.Add(copy);
        return (byte*)copy;
    }

    public byte** AddAll(IEnumerable<string> texts)
    {
        var pointers = texts.Select(text => (nint)Add(text)).ToArray();
        var array = Marshal.AllocCoTaskMem((pointers.Length + 1) * sizeof(nint));
        _memory.Add(array);
        Marshal.Copy(pointers, 0, array, pointers.Length);
        return (byte**)array;
    }

    public void Dispose()
    {
        foreach (var each in _memory) Marshal.FreeCoTaskMem(each);
        _memory.Clear();
    }
}
