namespace Krewe.Models;

/// <summary>Tokens to statements.</summary>
internal sealed class TemplateParser
{
    private readonly TemplateTokens _tokens;
    private readonly TemplateExpressionParser _expressions;

    private TemplateParser(TemplateTokens tokens) =>
        (_tokens, _expressions) = (tokens, new TemplateExpressionParser(tokens));

    public static List<TemplateStatement> Parse(string source)
    {
        var parser = new TemplateParser(new TemplateTokens(TemplateLexer.Lex(source)));
        var body = parser.ParseBody();
        return parser._tokens.Current.Kind == TemplateTokenKind.End
            ? body
            : throw parser._tokens.Error($"the tag {parser._tokens.Peek} closes nothing");
    }

    /// <summary>Statements up to the end, or up to a tag whose name is one of <paramref name="closers"/>; the cursor
    /// stays in front of that tag.</summary>
    private List<TemplateStatement> ParseBody(params ReadOnlySpan<string> closers)
    {
        using var depth = _tokens.Enter();
        var body = new List<TemplateStatement>();
        while (true)
        {
            var token = _tokens.Current;
            switch (token.Kind)
            {
                case TemplateTokenKind.Text:
                    body.Add(new TextStatement(token.Line, _tokens.Take().Text));
                    break;
                case TemplateTokenKind.OutputBegin:
                    _tokens.Take();
                    body.Add(new OutputStatement(token.Line, _expressions.ParseTuple()));
                    _tokens.Expect(TemplateTokenKind.OutputEnd, "\"}}\"");
                    break;
                case TemplateTokenKind.TagBegin when closers.Contains(_tokens.Peek.Text):
                    return body;
                case TemplateTokenKind.TagBegin:
                    _tokens.Take();
                    ParseTag(token.Line, body);
                    break;
                case TemplateTokenKind.End when closers.IsEmpty:
                    return body;
                default:
                    throw TemplateTokens.Unexpected(token, $"{{% {closers[^1]} %}}");
            }
        }
    }

    private void ParseTag(int line, List<TemplateStatement> body)
    {
        var name = _tokens.TakeName("a tag's name");
        switch (name)
        {
            case "if":
                body.Add(ParseIf(line));
                break;
            case "for":
                body.Add(ParseFor(line));
                break;
            case "set":
                body.Add(ParseSet(line));
                break;
            case "macro":
                body.Add(ParseMacro(line));
                break;
            case "break" or "continue":
                EndTag();
                body.Add(new FlowStatement(line, name == "break" ? TemplateFlow.Break : TemplateFlow.Continue));
                break;
            case "generation":
                // Marks the assistant's tokens for training; the text inside is ordinary.
                EndTag();
                body.AddRange(ParseBody("endgeneration"));
                TakeCloser();
                break;
            default:
                throw _tokens.Error($"the tag \"{name}\" is not supported here");
        }
    }

    private IfStatement ParseIf(int line)
    {
        var branches = new List<(TemplateExpression Condition, List<TemplateStatement> Body)>();
        while (true)
        {
            var condition = _expressions.ParseTuple();
            EndTag();
            branches.Add((condition, ParseBody("elif", "else", "endif")));
            _tokens.Take();
            if (!_tokens.SkipName("elif"))
                break;
        }

        var otherwise = new List<TemplateStatement>();
        if (_tokens.SkipName("else"))
        {
            EndTag();
            otherwise = ParseBody("endif");
            _tokens.Take();
        }

        _tokens.Take();
        EndTag();
        return new IfStatement(line, branches, otherwise);
    }

    private ForStatement ParseFor(int line)
    {
        var target = ParseTarget();
        if (!_tokens.SkipName("in"))
            throw TemplateTokens.Unexpected(_tokens.Current, "\"in\"");
        var items = _expressions.ParseOr();
        var condition = _tokens.SkipName("if") ? _expressions.ParseExpression() : null;
        if (_tokens.Current.IsName("recursive"))
            throw _tokens.Error("a recursive for is not supported");
        EndTag();
        var body = ParseBody("else", "endfor");
        _tokens.Take();
        var otherwise = new List<TemplateStatement>();
        if (_tokens.SkipName("else"))
        {
            EndTag();
            otherwise = ParseBody("endfor");
            _tokens.Take();
        }

        _tokens.Take();
        EndTag();
        return new ForStatement(line, target, items, condition, body, otherwise);
    }

    private TemplateStatement ParseSet(int line)
    {
        var target = ParseTarget();
        if (_tokens.Skip("="))
        {
            var value = _expressions.ParseTuple();
            EndTag();
            return new SetStatement(line, target, value);
        }

        var filtered = _expressions.ParseFilters(new NameExpression(BlockSetStatement.BlockName));
        EndTag();
        var body = ParseBody("endset");
        TakeCloser();
        return new BlockSetStatement(line, target, body, filtered);
    }

    private MacroStatement ParseMacro(int line)
    {
        var name = _tokens.TakeName("a macro's name");
        var parameters = new List<(string Name, TemplateExpression? Default)>();
        _tokens.Expect("(");
        while (!_tokens.Skip(")"))
        {
            var parameter = _tokens.TakeName("a parameter's name");
            parameters.Add((parameter, _tokens.Skip("=") ? _expressions.ParseExpression() : null));
            if (!_tokens.Skip(",") && !_tokens.Current.Is(")"))
                throw TemplateTokens.Unexpected(_tokens.Current, "\")\"");
        }

        EndTag();
        var body = ParseBody("endmacro");
        TakeCloser();
        return new MacroStatement(line, name, parameters, body);
    }

    private TemplateTarget ParseTarget()
    {
        var parenthesized = _tokens.Skip("(");
        var names = new List<string> { _tokens.TakeName("a variable's name") };
        if (_tokens.Skip("."))
            return new TemplateTarget(names, _tokens.TakeName("an attribute's name"));
        while (_tokens.Skip(","))
            names.Add(_tokens.TakeName("a variable's name"));
        if (parenthesized)
            _tokens.Expect(")");
        return new TemplateTarget(names, null);
    }

    private void EndTag() => _tokens.Expect(TemplateTokenKind.TagEnd, "\"%}\"");

    /// <summary>Takes the closing tag in front of which <see cref="ParseBody"/> stopped.</summary>
    private void TakeCloser()
    {
        _tokens.Take();
        _tokens.Take();
        EndTag();
    }
}
