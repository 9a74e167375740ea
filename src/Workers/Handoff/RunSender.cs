using System.Runtime.CompilerServices;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using KvGeometry = Krewe.Abstractions.KvGeometry;
using Piece = Krewe.Control.Handoff.Piece;

namespace Krewe.Workers;

/// <summary>
/// Sends runs of blocks as pieces: all layers that are there of all the run's blocks, then those that came meanwhile.
/// After a step's last layer only that layer's piece is left to send.
/// </summary>
internal sealed class RunSender(IDataChannel channel, KvGeometry geometry)
{
    /// <param name="blocks">The run's blocks.</param>
    /// <param name="progress">Layers of the step that fills them; null: all are there.</param>
    /// <param name="goesOn">Asked before each piece; false ends the sending.</param>
    public async Task SendAsync(
        BlockRun run, BlockId[] blocks, StepProgress? progress, Func<Task<bool>> goesOn,
        CancellationToken cancellationToken)
    {
        await foreach (var piece in PiecesAsync(run, progress, cancellationToken))
        {
            if (!await goesOn()) return;
            var slices = BlockSlice.Of(piece, blocks, run.First, geometry);
            await channel.SendAsync(new DataMessage { Piece = piece.ToWire() }, slices, cancellationToken);
        }
    }

    private async IAsyncEnumerable<Piece> PiecesAsync(
        BlockRun run, StepProgress? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var layer = 0; layer < geometry.Layers;)
        {
            var ready = progress is null ? geometry.Layers : await progress.WhenBeyondAsync(layer, cancellationToken);
            var layers = Math.Clamp(channel.PieceBytes / geometry.LayerBytes, 1, ready - layer);
            var perPiece = Math.Max(1, channel.PieceBytes / (layers * geometry.LayerBytes));
            for (var block = 0; block < run.Count; block += perPiece)
            {
                yield return new Piece(
                    run.First + block, Math.Min(perPiece, run.Count - block), layer, layers, run.Count);
            }

            layer += layers;
        }
    }
}
