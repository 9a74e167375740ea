using System.Text;

namespace Krewe.Models.Tests.Tokenizers;

/// <summary>
/// A word twice as long takes about twice the work, however it is made: counted in look-ups and queue entries, not in
/// seconds, so that no busy machine can turn the answer.
/// </summary>
public class LinearTimeTests
{
    private static readonly TokenizerParts Tiny = TokenizerReader.Read(
        JsonField.Load(Path.Combine(TestFiles.TinyModel, "tokenizer.json")));

    public static TheoryData<string> Kinds => ["same letter", "letters", "blanks", "the", "breaks", "CJK"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Merging_a_word_twice_as_long_takes_twice_the_operations(string kind)
    {
        var once = Operations(Word(kind, 50_000));
        var twice = Operations(Word(kind, 100_000));
        Assert.InRange(once, 50_000 - 1, 20 * 50_000);
        Assert.InRange((double)twice / once, 1.8, 2.2);
    }

    /// <summary>Every splitter's pieces cover the text once, so what is left is that it looks at no place too often.
    /// </summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_splitter_makes_no_more_pieces_than_the_text_has_characters(string kind)
    {
        var text = Word(kind, 100_000);
        foreach (var splitter in (ISplitter[])[new GptSplitter(), new LlamaSplitter(3), new LlamaSplitter(1)])
        {
            var pieces = new List<Piece>();
            splitter.Split(text, 0, pieces);
            Assert.Equal(text.Length, pieces.Sum(piece => piece.Length));
            Assert.InRange(pieces.Count, 1, text.Length);
        }
    }

    [Fact]
    public void The_bound_tells_a_merge_that_looks_at_all_pairs_again_after_each_merge()
    {
        Assert.False((double)Restarting(800) / Restarting(400) is >= 1.8 and <= 2.2);

        static long Restarting(int length)
        {
            var operations = 0L;
            for (var symbols = length; symbols > 1; symbols--)
            {
                for (var pair = 0; pair + 1 < symbols; pair++) operations++;
            }

            return operations;
        }
    }

    private static long Operations(string word)
    {
        var scratch = new EncodeScratch();
        Tiny.Model.Encode(word, scratch);
        Assert.NotEmpty(scratch.Output);
        return scratch.Merge.Operations;
    }

    private static string Word(string kind, int length)
    {
        var random = new Random(3);
        var word = new StringBuilder();
        while (word.Length < length)
        {
            word.Append(kind switch
            {
                "same letter" => "a",
                "letters" => ((char)random.Next('a', 'z' + 1)).ToString(),
                "blanks" => " ",
                "the" => "the",
                "breaks" => "\n ",
                _ => ((char)random.Next(0x4e00, 0x6e00)).ToString(),
            });
        }

        return word.ToString()[..length];
    }
}
