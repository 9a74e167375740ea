namespace Krewe.Models;

/// <summary>A set of bytes.</summary>
internal sealed class ByteSet
{
    private readonly bool[] _has = new bool[256];

    public static ByteSet All { get; } = Make();

    public bool Contains(byte value) => _has[value];

    public void Add(byte value) => _has[value] = true;

    private static ByteSet Make()
    {
        var all = new ByteSet();
        all._has.AsSpan().Fill(true);
        return all;
    }
}
