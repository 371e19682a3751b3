%% Evaluates expressions from standard input, one per line, in the node itself.
%% This takes far less time than `rabbitmqctl eval`, which starts a virtual machine every time.
%% When the input ends, the test has ended, and the node halts.
io:setopts(user, [binary, {encoding, latin1}]),
Answer = fun(Line) ->
    try
        {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Line)),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Expressions, []),
        Text = if is_binary(Value) -> Value; true -> io_lib:format("~0tp", [Value]) end,
        unicode:characters_to_binary([<<"=ok ">>, Text])
    catch
        Class:Reason:Stack ->
            Where = lists:sublist(Stack, 1),
            unicode:characters_to_binary(io_lib:format("=error ~0tp", [{Class, Reason, Where}]))
    end
end,
Loop = fun(Again) ->
    case io:get_line(user, "") of
        Line when is_binary(Line) ->
            %% The node may have printed a line without its end.
            io:put_chars(user, [$\n, Answer(Line), $\n]),
            Again(Again);
        _ ->
            halt(0, [{flush, false}])
    end
end,
spawn(fun() -> Loop(Loop) end).
