using Krewe.Control.Handoff;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>Translates pieces between the wire and Control.</summary>
internal static class PieceWire
{
    public static Wire.Piece ToWire(this Piece piece) => new()
    {
        FirstBlock = (uint)piece.FirstBlock,
        Blocks = (uint)piece.Blocks,
        FirstLayer = (uint)piece.FirstLayer,
        Layers = (uint)piece.Layers,
        RunBlocks = (uint)piece.RunBlocks,
    };

    /// <summary>What a peer says; a number that is no index becomes one that no run has.</summary>
    public static Piece FromWire(this Wire.Piece piece) => new(
        Index(piece.FirstBlock), Index(piece.Blocks), Index(piece.FirstLayer), Index(piece.Layers),
        Index(piece.RunBlocks));

    private static int Index(uint value) => (int)Math.Min(value, int.MaxValue / 2);
}
