using Krewe.Control.Links;

namespace Krewe.Control.Handoff;

/// <summary>
/// Where the next piece must begin. Layers of a run are sent in groups, as prefill stores them; the pieces of a group
/// cover the run's blocks in order. So every byte of a run arrives exactly once, whatever the source sends.
/// </summary>
public readonly record struct PieceCursor
{
    private readonly int _layers;

    /// <summary>The run under way; null between runs.</summary>
    public BlockRun? Run { get; private init; }

    /// <summary>First layer of the group under way, or of the next.</summary>
    public int Layer { get; private init; }

    /// <summary>Layers of the group under way; 0 between groups.</summary>
    public int GroupLayers { get; private init; }

    /// <summary>Next block of the group.</summary>
    public int Block { get; private init; }

    private PieceCursor(int layers) => _layers = layers;

    /// <summary>Between runs, in a model of <paramref name="layers"/> layers.</summary>
    public static PieceCursor Begin(int layers) => new(layers);

    /// <summary>The run that a piece belongs to, when it is the next in order.</summary>
    /// <exception cref="FrameException">It is not.</exception>
    public BlockRun Demand(in Piece piece)
    {
        var run = Run ?? new BlockRun(piece.FirstBlock, piece.RunBlocks);
        var firstBlock = GroupLayers == 0 ? run.First : Block;
        var fits = piece.Blocks > 0 && piece.Layers > 0
            && piece.RunBlocks == run.Count
            && piece.FirstBlock == firstBlock && piece.Blocks <= run.End - firstBlock
            && piece.FirstLayer == Layer && piece.Layers <= _layers - Layer
            && (GroupLayers == 0 || piece.Layers == GroupLayers);
        return fits ? run : throw new FrameException($"{piece} came where block {firstBlock} of {run}, layer {Layer}, "
            + "was due.");
    }

    /// <summary>The cursor behind a piece; <paramref name="finished"/> = the run that it completed.</summary>
    /// <exception cref="FrameException">The piece is not the next.</exception>
    public PieceCursor Take(in Piece piece, out BlockRun? finished)
    {
        var run = Demand(piece);
        finished = null;
        var block = piece.FirstBlock + piece.Blocks;
        if (block < run.End) return this with { Run = run, GroupLayers = piece.Layers, Block = block };
        var layer = Layer + piece.Layers;
        if (layer < _layers) return this with { Run = run, Layer = layer, GroupLayers = 0 };
        finished = run;
        return Begin(_layers);
    }
}
