namespace Krewe.Models.Tests.Constraints;

/// <summary>Grammars in the forms that clients send: GBNF, EBNF and Lark's.</summary>
public sealed class GrammarTests
{
    private const string Arithmetic = """
        # GBNF, as llama.cpp has it
        root  ::= term (("+" | "-") term)*
        term  ::= factor ("*" factor)?
        factor ::= number | "(" root ")"
        number ::= [0-9]{1,3}
        """;

    private const string Select = """
        // Lark
        ?start: "select "i columns " from " NAME (" where " NAME "=" VALUE)?
        columns: NAME ("," NAME)* | "*"
        NAME: /[a-z_]+/
        VALUE: "0".."9" | "'" /[^']*/ "'"
        """;

    [Theory]
    [InlineData(Arithmetic, "1+2*3", true)]
    [InlineData(Arithmetic, "((1-22)*(3))+4", true)]
    [InlineData(Arithmetic, "1+", false)]
    [InlineData(Arithmetic, "(1", false)]
    [InlineData(Arithmetic, "1234", false)]
    [InlineData(Select, "select a,b from t where x='it'", true)]
    [InlineData(Select, "SELECT * from t", true)]
    [InlineData(Select, "select a from t where x=77", false)]
    [InlineData("root ::= \"yes\" | \"no\" | \"\\u00e9\\n\"", "é\n", true)]
    [InlineData("list ::= \"x\" list | \"\"", "xxxx", true)]
    [InlineData("list ::= \"x\" list \"y\" | \"\"", "xxyy", true)]
    [InlineData("list ::= \"x\" list \"y\" | \"\"", "xxy", false)]
    public void A_grammar_takes_its_texts(string grammar, string text, bool isTaken) =>
        Assert.Equal(isTaken, RegexTests.Run(ConstraintKind.Grammar, grammar)(text));

    [Theory]
    [InlineData("", "no rules")]
    [InlineData("root ::= other", "no rule 'other'")]
    [InlineData("root ::= root \"a\" | \"a\"", "call themselves")]
    [InlineData("root ::= a? root \"b\" | \"c\"\na ::= \"a\"", "call themselves")]
    [InlineData("root ::= \"a\" root", "no text")]
    [InlineData("root ::= \"a", "no closing")]
    [InlineData("root ::= (\"a\"", "without its ')'")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "a second time")]
    [InlineData("start: \"a\"\n%ignore \" \"", "directive")]
    [InlineData("root \"a\"", "needs ::=")]
    [InlineData("root ::= \"a\"{5,2}", "ends before it begins")]
    [InlineData("root ::= \"a\"{99999}", "no number up to")]
    public void A_grammar_that_cannot_be_used_says_why(string grammar, string why)
    {
        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(ConstraintKind.Grammar, grammar));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rules_that_double_each_other_are_small()
    {
        // 2^60 bytes as one text; sixty rules of two calls each.
        var rules = string.Concat(Enumerable.Range(0, 60).Select(i => $"r{i} ::= r{i + 1} r{i + 1}\n"));
        var constraint = RandomWriter.Compile(ConstraintKind.Grammar, $"{rules}r60 ::= \"a\" | \"b\"");

        var (text, hasEnded, _) = new RandomWriter(1).Write(constraint, 50);

        Assert.False(hasEnded);
        Assert.Matches("^[ab]+$", text);
    }

    [Theory]
    [InlineData(Arithmetic)]
    [InlineData(Select)]
    public void What_is_drawn_at_random_is_taken(string grammar)
    {
        var constraint = RandomWriter.Compile(ConstraintKind.Grammar, grammar);
        var takes = RegexTests.Run(ConstraintKind.Grammar, grammar);
        for (var seed = 0; seed < 20; seed++)
        {
            var (text, hasEnded, _) = new RandomWriter(seed).Write(constraint, 200);
            Assert.True(hasEnded && takes(text), text);
        }
    }

    [Fact]
    public void A_grammar_that_can_be_read_in_many_ways_stays_small_and_right()
    {
        // Each character can be read in three ways, nested: 3^n readings.
        const string Ambiguous =
            "root ::= a* b\na ::= \"x\" a? | \"x\" c? | c\nc ::= \"x\" | \"x\" a \"x\"\nb ::= \"y\"";
        var constraint = RandomWriter.Compile(ConstraintKind.Grammar, Ambiguous);

        var (text, hasEnded, _) = new RandomWriter(3).Write(constraint, 300);

        Assert.True(hasEnded, text);
        Assert.Matches("^x*y$", text);
    }
}
