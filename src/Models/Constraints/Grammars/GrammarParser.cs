using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// A grammar in the common part of GBNF (llama.cpp), EBNF and Lark: <c>name ::= alternatives</c> or
/// <c>name: alternatives</c>; literals in quotes, sets in brackets, regular expressions in slashes, ranges
/// <c>"a".."z"</c>, groups, | * + ? {m,n} and the dot. The first rule is called root or start, or is the first.
/// </summary>
internal sealed class GrammarParser
{
    private const int DepthMax = 100;
    private const int RepetitionsMax = 10_000;

    private readonly Grammar _grammar;
    private readonly List<GrammarToken> _tokens;
    private readonly Dictionary<string, int> _rules = new(StringComparer.Ordinal);
    private readonly HashSet<string> _defined = new(StringComparer.Ordinal);
    private int _at;
    private int _depth;

    private GrammarParser(Grammar grammar, string text) =>
        (_grammar, _tokens) = (grammar, new GrammarLexer(text).Read());

    private GrammarToken Current => _tokens[_at];

    /// <summary>Adds the rules to the grammar; returns a call of the first.</summary>
    /// <exception cref="ConstraintException">The text is no such grammar.</exception>
    public static Expr Parse(Grammar grammar, string text)
    {
        var parser = new GrammarParser(grammar, text);
        string? first = null;
        while (parser.Current.Kind != GrammarTokenKind.End)
        {
            var name = parser.ReadRule();
            first ??= name;
        }

        if (first is null) throw new ConstraintException("the grammar has no rules");
        var missing = parser._rules.Keys.FirstOrDefault(name => !parser._defined.Contains(name));
        if (missing is not null) throw new ConstraintException($"the grammar has no rule '{missing}'");
        var start = parser._defined.Contains("root") ? "root" : parser._defined.Contains("start") ? "start" : first;
        return new Expr.Call(parser._rules[start]);
    }

    private string ReadRule()
    {
        // Lark's marks ? and ! before a name say how a tree is built; here there is none.
        if (Current is { Kind: GrammarTokenKind.Sign, Text: "?" }) _at++;
        var name = Current;
        if (name.Kind != GrammarTokenKind.Name) throw Error(name, "must begin a rule with its name");
        _at++;
        if (Current.Kind != GrammarTokenKind.Defines) throw Error(Current, $"needs ::= or : behind '{name.Text}'");
        _at++;
        if (!_defined.Add(name.Text)) throw Error(name, $"defines '{name.Text}' a second time");
        _grammar.Define(RuleOf(name.Text), ReadAlternatives());
        if (Current.Kind == GrammarTokenKind.End || IsRuleBegin()) return name.Text;
        throw Error(Current, $"has '{Current.Text}' where no part of a rule can begin");
    }

    private int RuleOf(string name)
    {
        if (!_rules.TryGetValue(name, out var rule)) _rules.Add(name, rule = _grammar.Declare(name));
        return rule;
    }

    private Expr ReadAlternatives()
    {
        if (++_depth > DepthMax) throw Error(Current, $"is nested more than {DepthMax} deep");
        List<Expr> options = [ReadSequence()];
        while (IsSign("|"))
        {
            _at++;
            options.Add(ReadSequence());
        }

        _depth--;
        return Expr.Any(options);
    }

    private Expr ReadSequence()
    {
        List<Expr> parts = [];
        while (!IsRuleBegin() && TryReadItem() is { } item) parts.Add(ReadQuantifier(item));
        return Expr.Of([.. parts]);
    }

    /// <summary>A name that is being defined, or Lark's mark before one.</summary>
    private bool IsRuleBegin()
    {
        // The mark begins a line; a question mark behind something repeats it.
        if (IsSign("?") && _at > 0 && _tokens[_at - 1].Line == Current.Line) return false;
        var name = _at + (IsSign("?") ? 1 : 0);
        return _tokens[name].Kind == GrammarTokenKind.Name && _tokens[name + 1].Kind == GrammarTokenKind.Defines;
    }

    private Expr? TryReadItem()
    {
        var token = Current;
        switch (token.Kind)
        {
            case GrammarTokenKind.Name:
                _at++;
                return new Expr.Call(RuleOf(token.Text));
            case GrammarTokenKind.Literal:
                _at++;
                return ReadLiteral(token);
            case GrammarTokenKind.AnyCaseLiteral:
                _at++;
                return InEitherCase(token.Text);
            case GrammarTokenKind.Class or GrammarTokenKind.Regex:
                _at++;
                return RegexParser.ParseTerminal(token.Text, "");
            case GrammarTokenKind.Sign when token.Text == ".":
                _at++;
                return new Expr.Chars(CodePointSet.LineEnds.Complement());
            case GrammarTokenKind.Sign when token.Text == "(":
                _at++;
                var group = ReadAlternatives();
                if (!IsSign(")")) throw Error(token, "has a '(' without its ')'");
                _at++;
                return group;
            default: return null;
        }
    }

    private Expr ReadLiteral(GrammarToken token)
    {
        if (Current.Kind == GrammarTokenKind.Range)
        {
            _at++;
            var last = Current;
            if (last.Kind != GrammarTokenKind.Literal || Single(token) is not { } from || Single(last) is not { } to
                || to < from)
                throw Error(last, "has a range that is not from one character to a later one");
            _at++;
            return new Expr.Chars(CodePointSet.Range(from, to));
        }

        return Expr.Text(token.Text);
    }

    private static Expr InEitherCase(string text) => Expr.Of(
    [
        .. text.EnumerateRunes().Select(rune => (Expr)new Expr.Chars(CodePointSet.Of(Rune.ToLowerInvariant(rune).Value)
            .Union(CodePointSet.Of(Rune.ToUpperInvariant(rune).Value)))),
    ]);

    private static int? Single(GrammarToken literal)
    {
        var runes = literal.Text.EnumerateRunes().ToArray();
        return runes.Length == 1 ? runes[0].Value : null;
    }

    private Expr ReadQuantifier(Expr item)
    {
        if (Current.Kind == GrammarTokenKind.Count) return ReadCount(item);
        if (Current.Kind != GrammarTokenKind.Sign || IsRuleBegin()) return item;
        Expr? repeated = Current.Text switch
        {
            "*" => new Expr.Repeat(item, 0, null),
            "+" => new Expr.Repeat(item, 1, null),
            "?" => new Expr.Repeat(item, 0, 1),
            _ => null,
        };
        if (repeated is not null) _at++;
        return repeated ?? item;
    }

    private Expr.Repeat ReadCount(Expr item)
    {
        var token = Current;
        _at++;
        var ends = token.Text.Split(',');
        var from = ReadNumber(token, ends[0]);
        int? to = ends.Length switch
        {
            1 => from,
            2 when string.IsNullOrWhiteSpace(ends[1]) => null,
            2 => ReadNumber(token, ends[1]),
            _ => throw Error(token, "has a count of more than two numbers"),
        };
        if (to < from) throw Error(token, "has a count that ends before it begins");
        return new Expr.Repeat(item, from, to);
    }

    private static int ReadNumber(GrammarToken token, string text) =>
        int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        && number <= RepetitionsMax
            ? number
            : throw Error(token, $"has a count that is no number up to {RepetitionsMax}");

    private bool IsSign(string sign) => Current.Kind == GrammarTokenKind.Sign && Current.Text == sign;

    private static ConstraintException Error(GrammarToken token, string what) =>
        new($"line {token.Line} of the grammar {what}");
}
