using FsCheck;
using FsCheck.Fluent;
using Krewe.Control.Handoff;
using Krewe.Control.Links;

namespace Krewe.Control.Tests.Handoff;

public sealed class PieceCursorTests
{
    private const int Layers = 4;

    [Fact]
    public void Groups_of_layers_and_their_blocks_in_order_make_a_run()
    {
        var cursor = PieceCursor.Begin(Layers);
        Piece[] pieces =
        [
            new(8, 2, 0, 1, 3), new(10, 1, 0, 1, 3), // layer 0 of blocks 8 to 10
            new(8, 1, 1, 2, 3), new(9, 1, 1, 2, 3), new(10, 1, 1, 2, 3), // layers 1 and 2
            new(8, 3, 3, 1, 3), // layer 3
        ];
        for (var i = 0; i < pieces.Length; i++)
        {
            cursor = cursor.Take(pieces[i], out var finished);
            Assert.Equal(i == pieces.Length - 1 ? new BlockRun(8, 3) : null, finished);
        }

        Assert.Equal(PieceCursor.Begin(Layers), cursor);
    }

    [Theory]
    [InlineData(0, 2, 0, 1, 3)] // the same piece again
    [InlineData(2, 1, 1, 1, 3)] // its layer is not due
    [InlineData(2, 2, 0, 1, 3)] // beyond the run
    [InlineData(2, 1, 0, 2, 3)] // other layers than its group
    [InlineData(2, 1, 0, 1, 4)] // another run
    [InlineData(2, 0, 0, 1, 3)] // nothing
    [InlineData(int.MaxValue / 2, int.MaxValue / 2, 0, 1, 3)]
    public void A_piece_that_is_not_the_next_is_refused(int block, int blocks, int layer, int layers, int run)
    {
        var cursor = PieceCursor.Begin(Layers).Take(new Piece(0, 2, 0, 1, 3), out _);
        Assert.Throws<FrameException>(() => cursor.Take(new Piece(block, blocks, layer, layers, run), out _));

        // Positive control: the next one is taken.
        cursor.Take(new Piece(2, 1, 0, 1, 3), out _);
    }

    [Theory]
    [InlineData(0, 0)] // no layer
    [InlineData(0, Layers + 1)]
    [InlineData(1, 1)] // not from the first
    public void A_run_begins_with_the_first_layer(int layer, int layers) => Assert.Throws<FrameException>(
        () => PieceCursor.Begin(Layers).Take(new Piece(0, 1, layer, layers, 1), out _));

    [Fact]
    public void Whatever_is_taken_covers_each_layer_of_each_block_once()
    {
        var numbers = Gen.Choose(0, 4).ListOf();
        Prop.ForAll(numbers.ToArbitrary(), list =>
        {
            var cursor = PieceCursor.Begin(Layers);
            var written = new HashSet<(int Block, int Layer)>();
            for (var i = 0; i + 3 < list.Count; i++)
            {
                var piece = new Piece(list[i], list[i + 1], list[i + 2], list[i + 3], 3);
                try
                {
                    cursor = cursor.Take(piece, out var finished);
                    for (var block = 0; block < piece.Blocks; block++)
                    {
                        for (var layer = 0; layer < piece.Layers; layer++)
                        {
                            if (!written.Add((piece.FirstBlock + block, piece.FirstLayer + layer))) return false;
                        }
                    }

                    if (finished is null) continue;
                    if (written.Count != 3 * Layers) return false;
                    written.Clear();
                }
                catch (FrameException)
                {
                    // Refused: nothing was written.
                }
            }

            return true;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000).WithEndSize(300).WithReplay(20261128, 4711));
    }
}
