namespace Krewe.Tidy.Tests;

public sealed class CodeTests
{
    [Fact]
    public void Lines_of_code_are_at_most_120_characters_long() =>
        Findings.None(Repository.Code.SelectMany(CodeRules.FindLongLines));

    [Fact]
    public void Usings_are_sorted() => Findings.None(
        Repository.Code.Where(file => file.Extension == ".cs").SelectMany(CodeRules.FindUnsortedUsings));

    [Fact]
    public void Reminders_name_an_issue() =>
        Findings.None(Repository.Code.SelectMany(CodeRules.FindLooseReminders));

    [Fact]
    public void No_pragma_hides_a_warning() => Findings.None(Repository.Code.SelectMany(CodeRules.FindPragmas));

    [Fact]
    public void Grains_are_the_same_source_for_both_hosts() =>
        Findings.None(Repository.Under("src/Grains").SelectMany(CodeRules.FindConditionals));

    [Fact]
    public void Suppressions_say_why() =>
        Findings.None(Repository.Code.SelectMany(CodeRules.FindSuppressionsWithoutReason));

    [Fact]
    public void Only_the_embedded_host_lives_in_the_namespace_of_Orleans() =>
        Findings.None(Product.Except(Repository.Under("src/EmbeddedOrleans"))
            .SelectMany(CodeRules.FindOrleansNamespaces));

    [Fact]
    public void No_catch_is_empty() => Findings.None(Product.SelectMany(CodeRules.FindEmptyCatches));

    [Fact]
    public void Long_files_are_explained()
    {
        var architecture = Repository.Get("docs/ARCHITECTURE.md").Text;

        Findings.None(Repository.Code.SelectMany(file => CodeRules.FindUnexplainedLength(file, architecture)));
    }

    [Fact]
    public void Every_step_of_a_request_is_in_the_code_exactly_once() =>
        Findings.None(StepMarkers.FindWrongCounts(Product));

    [Fact]
    public void Each_rule_finds_what_breaks_it()
    {
        Assert.Single(CodeRules.FindLongLines(Code(new string('x', 121))));
        Assert.Empty(CodeRules.FindLongLines(Code(new string('x', 120))));
        Assert.Single(CodeRules.FindUnsortedUsings(Code("using Krewe.A;\nusing System.Text;\n")));
        Assert.Single(CodeRules.FindUnsortedUsings(Code("using System.Text;\nusing System.IO;\n")));
        Assert.Empty(CodeRules.FindUnsortedUsings(Code("using System.IO;\nusing Krewe.A;\nusing static Krewe.A.B;\n")));
        Assert.Single(CodeRules.FindLooseReminders(Code("// TO" + "DO later")));
        Assert.Empty(CodeRules.FindLooseReminders(Code("// TO" + "DO(#12) later")));
        Assert.Single(CodeRules.FindPragmas(Code("  #" + "pragma warning disable")));
        Assert.Single(CodeRules.FindConditionals(Code("#" + "if ORLEANS")));
        Assert.Single(CodeRules.FindSuppressionsWithoutReason(Code("[Suppress" + "Message(\"A\", \"B\")]")));
        Assert.Empty(CodeRules.FindSuppressionsWithoutReason(
            Code("[Suppress" + "Message(\"A\", Justification = \"x\")]")));
        Assert.Single(CodeRules.FindOrleansNamespaces(Code("name" + "space Orleans.Mine;")));
        Assert.Single(CodeRules.FindEmptyCatches(Code("try { F(); } catch (IOException)\n{\n}")));
        Assert.Empty(CodeRules.FindEmptyCatches(Code("try { F(); } catch (E e) when (e.X is { } x)\n{\nthrow;\n}")));
        Assert.Single(CodeRules.FindUnexplainedLength(Code(new string('\n', 501)), "## Files over 500 lines\nNone."));
        Assert.Empty(CodeRules.FindUnexplainedLength(
            Code(new string('\n', 501)), "## Files over 500 lines\n`src/X.cs`: one table."));
    }

    [Fact]
    public void A_step_that_is_missing_or_doubled_is_found()
    {
        var all = string.Join('\n', Enumerable.Range(1, 9).Select(step => $"// :: " + $"Step {step}"));

        Assert.Empty(StepMarkers.FindWrongCounts([Code(all)]));
        Assert.Equal(9, StepMarkers.FindWrongCounts([]).Count());
        Assert.Single(StepMarkers.FindWrongCounts([Code(all), Code("// :: " + "Step 4")]));
    }

    private static IEnumerable<RepositoryFile> Product =>
        Repository.Under("src").Where(file => file.Extension == ".cs");

    private static RepositoryFile Code(string text) => new("src/X.cs", text);
}
