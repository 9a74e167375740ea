namespace Krewe.Models.Tests.Tokenizers;

/// <summary>The hand-written splitters against the patterns that they stand for.</summary>
public class SplitterTests
{
    public static TheoryData<string> Patterns => ["gpt2", "llama3", "qwen2", "digits"];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Splitting_by_hand_equals_the_regular_expression_on_any_unicode(string name)
    {
        var (byHand, pattern) = Choose(name);
        var byRegex = new RegexSplitter(pattern, SplitBehavior.Isolated, invert: false);
        for (var seed = 0; seed < 4000; seed++)
        {
            var text = RandomText.Any(new Random(seed), 40);
            Assert.Equal(Split(byRegex, text), Split(byHand, text));
        }
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Pieces_cover_the_text_in_order(string name)
    {
        var (byHand, _) = Choose(name);
        for (var seed = 0; seed < 500; seed++)
        {
            var text = RandomText.Any(new Random(seed), 40);
            Assert.Equal(text, string.Concat(Split(byHand, text)));
        }
    }

    [Fact]
    public void The_comparison_would_notice_another_pattern() =>
        Assert.NotEqual(Split(new LlamaSplitter(digitsMax: 3), "a 1234"),
            Split(new LlamaSplitter(digitsMax: 1), "a 1234"));

    [Theory]
    [InlineData("it's 12345 Foo's\n\n  bar", "it|'s| |123|45| Foo|'s|\n\n| | bar")]
    [InlineData("a  b\t\tc \n d", "a| | b|\t|\tc| \n| d")]
    [InlineData("DON'T (x) $5.00!\n\n", "DON|'T| (|x|)| $|5|.|00|!\n\n")]
    [InlineData("𝐀𝐁 你好 ٣٤٥٦", "𝐀𝐁| 你好| |٣٤٥|٦")]
    public void Llama_3_texts_split_as_worked_out_by_hand(string text, string expected) =>
        Assert.Equal(expected.Split('|'), Split(new LlamaSplitter(digitsMax: 3), text));

    [Theory]
    [InlineData("it's 12345 Foo's\n\n  bar", "it|'s| 12345| Foo|'s|\n\n | bar")]
    [InlineData("DON'T!!  ", "DON|'|T|!!|  ")]
    public void Gpt_2_texts_split_as_worked_out_by_hand(string text, string expected) =>
        Assert.Equal(expected.Split('|'), Split(new GptSplitter(), text));

    [Theory]
    [InlineData("Removed", false, "the|final|countdown")]
    [InlineData("Isolated", false, "the|-|final|-|-|countdown")]
    [InlineData("MergedWithPrevious", false, "the-|final-|-|countdown")]
    [InlineData("MergedWithNext", false, "the|-final|-|-countdown")]
    [InlineData("Contiguous", false, "the|-|final|--|countdown")]
    [InlineData("Removed", true, "-|-|-")]
    public void Split_behaviors_are_those_of_the_hugging_face_documentation(
        string behavior, bool invert, string expected) =>
        Assert.Equal(expected.Split('|'),
            Split(new RegexSplitter("-", Enum.Parse<SplitBehavior>(behavior), invert), "the-final--countdown"));

    [Fact]
    public void Sentence_piece_text_is_cut_in_front_of_runs_of_markers() =>
        Assert.Equal(["a", "▁b", "▁▁▁c", "▁"], Split(new SpaceRunSplitter('▁'), "a▁b▁▁▁c▁"));

    private static (ISplitter ByHand, string Pattern) Choose(string name) => name switch
    {
        "gpt2" => (new GptSplitter(), GptSplitter.Pattern),
        "llama3" => (new LlamaSplitter(digitsMax: 3), LlamaSplitter.LlamaPattern),
        "qwen2" => (new LlamaSplitter(digitsMax: 1), LlamaSplitter.QwenPattern),
        _ => (new DigitSplitter(individual: true), DigitSplitter.Pattern),
    };

    private static List<string> Split(ISplitter splitter, string text)
    {
        var pieces = new List<Piece>();
        splitter.Split(text, 0, pieces);
        return pieces.ConvertAll(piece => text.Substring(piece.Start, piece.Length));
    }
}
