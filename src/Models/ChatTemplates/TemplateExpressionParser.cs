using System.Globalization;

namespace Krewe.Models;

/// <summary>Expressions of the Jinja subset, by precedence: conditional, or, and, not, comparison, + -, ~, * / // %,
/// sign, then postfix, filters and tests.</summary>
internal sealed class TemplateExpressionParser(TemplateTokens tokens)
{
    public TemplateExpression ParseExpression()
    {
        using var depth = tokens.Enter();
        var value = ParseOr();
        while (tokens.SkipName("if"))
        {
            var condition = ParseOr();
            value = new ConditionalExpression(condition, value, tokens.SkipName("else") ? ParseExpression() : null);
        }

        return value;
    }

    /// <summary>Several expressions with commas between are a tuple.</summary>
    public TemplateExpression ParseTuple()
    {
        var first = ParseExpression();
        if (!tokens.Current.Is(","))
            return first;
        var items = new List<TemplateExpression> { first };
        while (tokens.Skip(",") && tokens.Current.Kind != TemplateTokenKind.TagEnd)
            items.Add(ParseExpression());
        return new TupleExpression(items);
    }

    /// <summary>Without a trailing <c>if</c>, which belongs to the for statement.</summary>
    public TemplateExpression ParseOr()
    {
        var left = ParseAnd();
        while (tokens.SkipName("or"))
            left = new LogicExpression(isAnd: false, left, ParseAnd());
        return left;
    }

    /// <summary>Filters and tests behind a value.</summary>
    public TemplateExpression ParseFilters(TemplateExpression value)
    {
        while (true)
        {
            if (tokens.Skip("|"))
                value = ParseFilter(value);
            else if (tokens.SkipName("is"))
                value = ParseTest(value);
            else if (tokens.Current.Is("("))
                value = new CallExpression(value, "the call", ParseArguments());
            else
                return value;
        }
    }

    private TemplateExpression ParseAnd()
    {
        var left = ParseNot();
        while (tokens.SkipName("and"))
            left = new LogicExpression(isAnd: true, left, ParseNot());
        return left;
    }

    private TemplateExpression ParseNot()
    {
        using var depth = tokens.Enter();
        return tokens.SkipName("not") ? new NotExpression(ParseNot()) : ParseCompare();
    }

    private TemplateExpression ParseCompare()
    {
        var first = ParseSum();
        var rest = new List<(string Operator, TemplateExpression Operand)>();
        while (ComparisonOperator() is { } op)
            rest.Add((op, ParseSum()));
        return rest.Count == 0 ? first : new CompareExpression(first, rest);
    }

    private string? ComparisonOperator()
    {
        if (tokens.Current.Kind == TemplateTokenKind.Operator
            && tokens.Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=")
            return tokens.Take().Text;
        if (tokens.SkipName("in"))
            return "in";
        if (!tokens.Current.IsName("not") || !tokens.Peek.IsName("in"))
            return null;
        tokens.Take();
        tokens.Take();
        return "not in";
    }

    private TemplateExpression ParseSum()
    {
        var left = ParseConcatenation();
        while (tokens.Current.Is("+") || tokens.Current.Is("-"))
            left = new ArithmeticExpression(tokens.Take().Text, left, ParseConcatenation());
        return left;
    }

    private TemplateExpression ParseConcatenation()
    {
        var left = ParseProduct();
        while (tokens.Current.Is("~"))
            left = new ArithmeticExpression(tokens.Take().Text, left, ParseProduct());
        return left;
    }

    private TemplateExpression ParseProduct()
    {
        var left = ParseSign();
        while (tokens.Current.Is("*") || tokens.Current.Is("/") || tokens.Current.Is("//") || tokens.Current.Is("%"))
            left = new ArithmeticExpression(tokens.Take().Text, left, ParseSign());
        return left;
    }

    private TemplateExpression ParseSign() => ParseFilters(ParseSigned());

    private TemplateExpression ParseSigned()
    {
        using var depth = tokens.Enter();
        if (tokens.Current.Is("-") || tokens.Current.Is("+"))
            return new SignExpression(tokens.Take().Text == "-", ParseSigned());
        return ParsePostfix(ParsePrimary());
    }

    private TemplateExpression ParsePostfix(TemplateExpression value)
    {
        var name = value is NameExpression variable ? variable.Name : "the call";
        while (true)
        {
            if (tokens.Skip("."))
            {
                name = tokens.TakeName("an attribute's name");
                value = new AttributeExpression(value, name);
            }
            else if (tokens.Current.Is("["))
            {
                tokens.Take();
                value = ParseSubscript(value);
            }
            else if (tokens.Current.Is("("))
            {
                value = new CallExpression(value, name, ParseArguments());
            }
            else
            {
                return value;
            }
        }
    }

    private TemplateExpression ParseSubscript(TemplateExpression target)
    {
        var start = tokens.Current.Is(":") ? null : ParseExpression();
        if (tokens.Skip("]"))
            return new IndexExpression(target, start!);
        tokens.Expect(":");
        var stop = tokens.Current.Is(":") || tokens.Current.Is("]") ? null : ParseExpression();
        var step = tokens.Skip(":") && !tokens.Current.Is("]") ? ParseExpression() : null;
        tokens.Expect("]");
        return new SliceExpression(target, start, stop, step);
    }

    private TemplateExpression ParsePrimary()
    {
        var token = tokens.Take();
        switch (token.Kind)
        {
            case TemplateTokenKind.Name:
                return token.Text switch
                {
                    "true" or "True" => new LiteralExpression(true),
                    "false" or "False" => new LiteralExpression(false),
                    "none" or "None" => new LiteralExpression(null),
                    "and" or "or" or "not" or "if" or "else" or "is" or "in" =>
                        throw TemplateTokens.Unexpected(token, "a value"),
                    _ => new NameExpression(token.Text),
                };
            case TemplateTokenKind.String:
                var text = token.Text;
                while (tokens.Current.Kind == TemplateTokenKind.String)
                    text += tokens.Take().Text;
                return new LiteralExpression(text);
            case TemplateTokenKind.Integer:
                return long.TryParse(token.Text, CultureInfo.InvariantCulture, out var whole)
                    ? new LiteralExpression(whole)
                    : throw tokens.Error($"the number {token.Text} does not fit into 64 bits");
            case TemplateTokenKind.Float:
                return new LiteralExpression(double.Parse(token.Text, CultureInfo.InvariantCulture));
        }

        return token.Is("(") ? ParseParentheses()
            : token.Is("[") ? new ListExpression(ParseItems("]"))
            : token.Is("{") ? ParseMap()
            : throw TemplateTokens.Unexpected(token, "a value");
    }

    private TemplateExpression ParseParentheses()
    {
        var items = ParseItems(")", out var hasComma);
        return items.Count == 1 && !hasComma ? items[0] : new TupleExpression(items);
    }

    private List<TemplateExpression> ParseItems(string close) => ParseItems(close, out _);

    private List<TemplateExpression> ParseItems(string close, out bool hasComma)
    {
        var items = new List<TemplateExpression>();
        hasComma = false;
        while (!tokens.Skip(close))
        {
            items.Add(ParseExpression());
            if (tokens.Skip(","))
                hasComma = true;
            else if (!tokens.Current.Is(close))
                throw TemplateTokens.Unexpected(tokens.Current, $"\"{close}\"");
        }

        return items;
    }

    private MapExpression ParseMap()
    {
        var members = new List<(TemplateExpression Key, TemplateExpression Value)>();
        while (!tokens.Skip("}"))
        {
            var key = ParseExpression();
            tokens.Expect(":");
            members.Add((key, ParseExpression()));
            if (!tokens.Skip(",") && !tokens.Current.Is("}"))
                throw TemplateTokens.Unexpected(tokens.Current, "\"}\"");
        }

        return new MapExpression(members);
    }

    private FilterExpression ParseFilter(TemplateExpression value)
    {
        var name = tokens.TakeName("a filter's name");
        var filter = TemplateFilters.Find(name) ?? throw tokens.Error($"the filter \"{name}\" is not supported");
        return new FilterExpression(value, name, filter, tokens.Current.Is("(") ? ParseArguments() : ArgumentList.None);
    }

    private TestExpression ParseTest(TemplateExpression value)
    {
        var negated = tokens.SkipName("not");
        var name = tokens.TakeName("a test's name").ToLowerInvariant();
        var test = TemplateTests.Find(name) ?? throw tokens.Error($"the test \"{name}\" is not supported");
        var arguments = ArgumentList.None;
        if (tokens.Current.Is("("))
            arguments = ParseArguments();
        else if (StartsArgument(tokens.Current))
            arguments = new ArgumentList([ParsePostfix(ParsePrimary())], []);
        return new TestExpression(value, name, test, arguments, negated);
    }

    /// <summary>A test may take one argument without parentheses: <c>is sameas true</c>.</summary>
    private static bool StartsArgument(TemplateToken token) => token.Kind switch
    {
        TemplateTokenKind.String or TemplateTokenKind.Integer or TemplateTokenKind.Float => true,
        TemplateTokenKind.Name => token.Text is not ("and" or "or" or "else" or "if" or "is" or "in" or "not"),
        _ => token.Is("[") || token.Is("{"),
    };

    private ArgumentList ParseArguments()
    {
        tokens.Take();
        var positional = new List<TemplateExpression>();
        var named = new Dictionary<string, TemplateExpression>(StringComparer.Ordinal);
        while (!tokens.Skip(")"))
        {
            if (tokens.Current.Kind == TemplateTokenKind.Name && tokens.Peek.Is("="))
            {
                var name = tokens.Take().Text;
                tokens.Take();
                named[name] = ParseExpression();
            }
            else if (named.Count > 0)
            {
                throw tokens.Error("an argument without a name follows one with a name");
            }
            else
            {
                positional.Add(ParseExpression());
            }

            if (!tokens.Skip(",") && !tokens.Current.Is(")"))
                throw TemplateTokens.Unexpected(tokens.Current, "\")\"");
        }

        return new ArgumentList(positional, named);
    }
}
