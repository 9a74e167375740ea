namespace Krewe.Models;

/// <summary>Working memory of one Encode call; kept between calls, used by one thread at a time.</summary>
internal sealed class EncodeScratch
{
    // What a very long prompt grew is let go again.
    private const int KeptSymbolsMax = 1 << 20;

    private int[] _symbols = new int[256];

    public List<int> Output { get; } = [];

    public List<Piece> Pieces { get; private set; } = [];

    public List<Piece> NextPieces { get; private set; } = [];

    public MergeScratch Merge { get; } = new();

    public bool WorthKeeping => _symbols.Length <= KeptSymbolsMax && Output.Capacity <= KeptSymbolsMax
        && Pieces.Capacity <= KeptSymbolsMax && NextPieces.Capacity <= KeptSymbolsMax;

    public Span<int> Symbols(int countMax)
    {
        if (_symbols.Length < countMax)
            _symbols = new int[Math.Max(countMax, 2 * _symbols.Length)];
        return _symbols.AsSpan(0, countMax);
    }

    public void SwapPieces() => (Pieces, NextPieces) = (NextPieces, Pieces);
}
