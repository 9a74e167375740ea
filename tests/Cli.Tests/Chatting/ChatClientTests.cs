using System.Net;
using System.Text;
using Krewe.Abstractions;

namespace Krewe.Cli.Tests.Chatting;

public sealed class ChatClientTests
{
    private static readonly Uri Address = new("http://server/v1");

    private static readonly ChatRequest Question = new() { Model = "tiny", Messages = [new ChatTurn("user", "hi")] };

    [Fact]
    public async Task Pieces_arrive_in_order_and_stop_at_done()
    {
        using var server = new CannedServer(HttpStatusCode.OK, """
            data: {"choices":[{"delta":{"role":"assistant","content":""}}]}

            data: {"choices":[{"delta":{"content":"Hel"}}]}

            data: {"choices":[{"delta":{"content":"lo"}}]}

            data: {"choices":[],"usage":{"prompt_tokens":1}}

            data: [DONE]

            data: {"choices":[{"delta":{"content":"never"}}]}


            """);

        Assert.Equal(["Hel", "lo"], await ReadAsync(server));
        Assert.Equal("http://server/v1/chat/completions", server.LastAddress);
        Assert.Equal(
            """{"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true}""", server.LastBody);
    }

    [Fact]
    public async Task Thoughts_are_told_apart_from_the_answer()
    {
        using var server = new CannedServer(HttpStatusCode.OK, """
            data: {"choices":[{"delta":{"reasoning_content":"Hm"}}]}

            data: {"choices":[{"delta":{"reasoning_content":"m."}}]}

            data: {"choices":[{"delta":{"content":"Yes"}}]}

            data: [DONE]


            """);
        var thoughts = new StringBuilder();

        Assert.Equal(["Yes"], await ReadAsync(server, thought => thoughts.Append(thought)));
        Assert.Equal("Hmm.\n", thoughts.ToString());
    }

    [Fact]
    public async Task An_error_object_becomes_its_message()
    {
        using var server = new CannedServer(
            HttpStatusCode.BadRequest, """{"error":{"message":"The prompt is too long.","code":"x"}}""");

        var failure = await Assert.ThrowsAsync<KreweException>(() => ReadAsync(server));

        Assert.Equal("The prompt is too long.", failure.Message);
    }

    [Fact]
    public async Task An_error_in_the_middle_of_a_stream_is_not_taken_for_its_end()
    {
        using var server = new CannedServer(HttpStatusCode.OK, """
            data: {"choices":[{"delta":{"content":"Hel"}}]}

            data: {"error":{"message":"No worker is left."}}


            """);

        var failure = await Assert.ThrowsAsync<KreweException>(() => ReadAsync(server));

        Assert.Equal("No worker is left.", failure.Message);
    }

    [Fact]
    public async Task An_answer_that_is_no_error_object_is_shown_as_it_is()
    {
        using var server = new CannedServer(HttpStatusCode.BadGateway, "<html>proxy</html>");

        var failure = await Assert.ThrowsAsync<KreweException>(() => ReadAsync(server));

        Assert.Contains("<html>proxy</html>", failure.Message);
    }

    [Fact]
    public async Task The_first_model_is_found()
    {
        using var server = new CannedServer(HttpStatusCode.OK, """{"data":[{"id":"tiny"},{"id":"other"}]}""");
        using var http = new HttpClient(server);

        Assert.Equal("tiny", await new ChatClient(http, Address).FirstModelAsync(CancellationToken.None));
    }

    [Fact]
    public async Task A_session_remembers_its_turns_until_it_is_reset()
    {
        using var server = new CannedServer(HttpStatusCode.OK, """
            data: {"choices":[{"delta":{"content":"yes"}}]}

            data: [DONE]


            """);
        using var http = new HttpClient(server);
        using var output = new StringWriter();
        using var input = new StringReader("one\ntwo\n/reset\nthree\n/exit\nfour\n");
        var session = new ChatSession(
            new ChatClient(http, Address), new Terminal(input, output, TextWriter.Null), "tiny", "be brief",
            new ChatSampling(null, null, null));

        await session.RunAsync(CancellationToken.None);

        Assert.Equal("yes\nyes\nyes\n", output.ToString().ReplaceLineEndings("\n"));
        Assert.Equal([2, 4, 2], server.Bodies.Select(body => body.Split("\"role\"").Length - 1));
    }

    private static async Task<List<string>> ReadAsync(CannedServer server, Action<string>? think = null)
    {
        using var http = new HttpClient(server, disposeHandler: false);
        List<string> pieces = [];
        var client = new ChatClient(http, Address, think);
        await foreach (var piece in client.StreamAsync(Question, CancellationToken.None)) pieces.Add(piece);
        return pieces;
    }

    private sealed class CannedServer(HttpStatusCode status, string body) : HttpMessageHandler
    {
        public List<string> Bodies { get; } = [];

        public string? LastAddress { get; private set; }

        public string LastBody => Bodies[^1];

        protected override async Task<HttpResponseMessage> SendAsync(
            HttpRequestMessage request, CancellationToken cancellationToken)
        {
            LastAddress = request.RequestUri!.AbsoluteUri;
            if (request.Content is { } content) Bodies.Add(await content.ReadAsStringAsync(cancellationToken));
            return new HttpResponseMessage(status)
            {
                Content = new StringContent(body.ReplaceLineEndings("\n"), Encoding.UTF8),
            };
        }
    }
}
