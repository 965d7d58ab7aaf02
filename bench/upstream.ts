// `node bench/upstream.ts PORT`: echoes WebSocket messages behind the peers. All other cases have an nginx as their upstream.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]) });
server.on('connection', (socket) => socket.on('message', (data) => socket.send(data, { binary: false })));
